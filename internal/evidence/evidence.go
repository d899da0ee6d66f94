// Package evidence keeps what proves an outcome: response bodies and
// screenshots, each named by the SHA-256 of its bytes.
//
// The row that refers to a blob holds its hash, media type and size; the blob
// holds nothing but bytes. Behind the small [Store] contract object storage can
// follow the directory that [Dir] keeps.
//
// Rows of many machines refer to blobs on the disk of one. When a customer is erased, the
// store notes which blobs its outcomes referred to, and a [Sweeper] beside each
// directory removes those that nobody refers to any more. It removes also what was put and
// never confirmed: no row names that, so no erasure could.
package evidence

import (
	"context"
	"errors"
	"io"
)

// ErrNotFound: no blob has this name.
var ErrNotFound = errors.New("no such evidence")

// Store keeps blobs. All methods may be called concurrently, from any number of
// processes.
type Store interface {
	// Put keeps data and returns its name, the SHA-256 in lower-case hex, and its
	// size. When it returns without error the blob survives a power cut; when it
	// fails nothing half-written stands under that name. The same data again is
	// no error. The media type is for stores that serve blobs by themselves.
	Put(ctx context.Context, mediaType string, data []byte) (sha256 string, size int64, err error)

	// Confirm is told when what Put kept is referred to: sha256 and data are of that
	// call. A blob that was removed between the two, because nobody referred to it yet,
	// is kept again. Without Confirm a blob that nobody refers to may be removed some
	// time later.
	Confirm(ctx context.Context, sha256 string, data []byte) error

	// Open returns the blob's bytes; the caller closes. ErrNotFound when there is
	// no such blob or the name is not a SHA-256.
	Open(ctx context.Context, sha256 string) (io.ReadCloser, error)
}
