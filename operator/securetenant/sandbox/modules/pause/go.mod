module securetenant.io/sandbox/pause

go 1.26.0
