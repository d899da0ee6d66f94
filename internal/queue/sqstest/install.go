package sqstest

import (
	"embed"
	"io/fs"
	"sync"

	"github.com/directorybolt/directorybolt/internal/nodetest"
)

//go:embed emulators
var emulators embed.FS

// installed is the directory where the emulators are, installing them when they are
// not.
var installed = sync.OnceValues(func() (string, error) {
	files, err := fs.Sub(emulators, "emulators")
	if err != nil {
		return "", err
	}
	return nodetest.Install("sqs-emulators", files)
})
