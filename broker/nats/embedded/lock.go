package embedded

import (
	"errors"
	"os"
	"sync"
)

// errLocked: somebody else holds the lock.
var errLocked = errors.New("locked")

// lock is a lock on a file. It goes with the process that holds it, however
// that ends.
type lock struct {
	once sync.Once // of the server's end
	file *os.File
}

func acquireLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &lock{file: f}, nil
}

func (l *lock) release() error { return l.file.Close() }
