-- How a SecureTenant stands, by its conditions: Ready, Stalled and, while somebody works on it, Reconciling.
-- What was observed of an older generation says nothing.
local status = obj.status or {}
if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "It is being deleted"}
end
if status.observedGeneration ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for the operator to see the last change"}
end
local found = {}
for _, each in ipairs(status.conditions or {}) do
  found[each.type] = each
end
local ready = found["Ready"]
if ready == nil then
  return {status = "Progressing", message = "Waiting for the operator"}
end
if ready.reason == "Suspended" then
  return {status = "Suspended", message = ready.message}
end
if found["Stalled"] ~= nil and found["Stalled"].status == "True" then
  return {status = "Degraded", message = found["Stalled"].message}
end
if ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
return {status = "Progressing", message = ready.message}
