"""A second opinion, independent of what builds and of what enforces.

Pure. It knows neither ``desired`` nor the policies' CEL; the tests hold the API server's answers to
these predicates. Imports ``api`` alone. Never: a request, a clock, a decision of what to write.
"""
