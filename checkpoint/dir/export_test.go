package dir

import "context"

// LockKey takes the lock of a key.
func (s *Store) LockKey(ctx context.Context, key string) (unlock func(), err error) {
	return s.lock(ctx, stripeOf(nameOf(key)))
}
