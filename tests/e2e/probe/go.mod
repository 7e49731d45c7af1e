module securetenant.io/tests/probe

go 1.26.0
