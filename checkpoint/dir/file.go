package dir

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/occamy-go/occamy/checkpoint"
)

// file is what the file of a key has.
type file struct {
	there    bool
	expired  bool
	key      string
	value    []byte
	revision checkpoint.Revision // zero when there is none
}

// A file is
//
//	version, 1 byte · revision, 8 bytes · length of the key, 2 bytes · key · value · CRC-32C of all that, 4 bytes
const (
	fileVersion = 1
	fileHead    = 1 + 8 + 2
	fileTail    = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(key string, value []byte, rev checkpoint.Revision) []byte {
	b := make([]byte, 0, fileHead+len(key)+len(value)+fileTail)
	b = append(b, fileVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(rev))
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, key...)
	b = append(b, value...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decode(b []byte) (file, error) {
	body := len(b) - fileTail
	if body < fileHead || b[0] != fileVersion || crc32.Checksum(b[:body], castagnoli) != binary.BigEndian.Uint32(b[body:]) {
		return file{}, ErrDamaged
	}
	rev := checkpoint.Revision(binary.BigEndian.Uint64(b[1:]))
	value := fileHead + int(binary.BigEndian.Uint16(b[9:]))
	if value > body || rev == 0 {
		return file{}, ErrDamaged
	}
	return file{there: true, key: string(b[fileHead:value]), value: b[value:body:body], revision: rev}, nil
}

// read returns what is in a value's file.
func (s *Store) read(name string) (file, error) {
	path := s.path(valuesDir, name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file{}, nil
	}
	if err != nil {
		return file{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return file{}, err
	}
	most := int64(max(s.opts.MaxValue, checkpoint.DefaultMaxValue)) // the limit may have been higher once
	if s.opts.MaxValue >= 0 && info.Size() > fileHead+checkpoint.MaxKey+most+fileTail {
		return file{}, fmt.Errorf("%w: %s has %d bytes", ErrDamaged, path, info.Size())
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		return file{}, err
	}
	is, err := decode(b)
	if err != nil {
		return file{}, fmt.Errorf("%w: %s", err, path)
	}
	is.expired = s.isOld(info)
	return is, nil
}

func (s *Store) isOld(info fs.FileInfo) bool {
	return s.opts.MaxAge >= 0 && time.Since(info.ModTime()) >= s.opts.MaxAge
}

// write replaces a file of a directory in whole, and returns when that is on
// the disk. The name of what it writes first begins with the file's stripe, so
// that nobody takes it for a leftover while its lock is held.
func (s *Store) write(name, dir string, content []byte) (err error) {
	f, err := os.CreateTemp(s.path(tempDir), fmt.Sprintf("%02x-*", stripeOf(name)))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(content); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// floor is a revision that no key without a file has exceeded.
func (s *Store) floor() (checkpoint.Revision, error) {
	b, err := os.ReadFile(s.path(floorFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	is, err := decode(b)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, s.path(floorFile))
	}
	return is.revision, nil
}

// raiseFloor sees to it that the floor is no lower than the revision of a value
// that is about to be removed. Where nothing can be written, as on a disk that
// is full, the file of the value becomes the floor.
func (s *Store) raiseFloor(ctx context.Context, name string, rev checkpoint.Revision) error {
	unlock, err := s.lock(ctx, floorStripe)
	if err != nil {
		return err
	}
	defer unlock()
	is, err := s.floor()
	if err != nil || is >= rev {
		return err
	}
	if s.write(floorFile, s.root, encode(floorFile, nil, rev)) == nil {
		return nil
	}
	if err := os.Rename(s.path(valuesDir, name), s.path(floorFile)); err != nil {
		return err
	}
	return syncDir(s.root)
}
