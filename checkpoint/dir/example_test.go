package dir_test

import (
	"context"
	"fmt"
	"os"

	"github.com/occamy-go/occamy/checkpoint"
	"github.com/occamy-go/occamy/checkpoint/dir"
)

func Example() {
	ctx := context.Background()
	path, _ := os.MkdirTemp("", "progress-")
	defer func() { _ = os.RemoveAll(path) }()
	for range 3 { // as in three processes, one after the other
		store, err := dir.Open(path, dir.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		p := checkpoint.New(store, "request")
		saved, err := p.Claim(ctx)
		fmt.Printf("found %q, %v\n", saved, err)
		_ = p.Save(ctx, append(saved, 'x'))
	}
	// Output:
	// found "", <nil>
	// found "x", <nil>
	// found "xx", <nil>
}
