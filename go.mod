module github.com/occamy-go/occamy

go 1.26.0
