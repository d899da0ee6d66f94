package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// maxBody is the largest post a directory reads.
const maxBody = 16 << 20

// answer is a filled-in form as it arrived.
type answer struct {
	fields url.Values
	files  map[string][]byte
}

// readAnswer reads a whole post. whole says that every byte of the body came,
// even if the rest of the answer makes no sense.
func readAnswer(w http.ResponseWriter, r *http.Request, cs *charset) (a *answer, whole bool, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, false, fmt.Errorf("read the body: %w", err)
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, true, fmt.Errorf("read the content type: %w", err)
	}
	switch kind {
	case "application/x-www-form-urlencoded":
		a, err = readURLEncoded(body)
	case "multipart/form-data":
		a, err = readMultipart(body, params["boundary"])
	default:
		err = fmt.Errorf("content type %s is not a form", kind)
	}
	if err != nil {
		return nil, true, err
	}
	if cs != nil {
		err = a.decode(cs)
	}
	return a, true, err
}

func readURLEncoded(body []byte) (*answer, error) {
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("parse the form: %w", err)
	}
	return &answer{fields: fields}, nil
}

func readMultipart(body []byte, boundary string) (*answer, error) {
	a := &answer{fields: url.Values{}, files: map[string][]byte{}}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return nil, fmt.Errorf("parse the multipart form: %w", err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, fmt.Errorf("parse part %q: %w", part.FormName(), err)
		}
		if _, isFile := partFile(part); isFile {
			a.files[part.FormName()] = content
		} else {
			a.fields.Add(part.FormName(), string(content))
		}
	}
}

// partFile tells a file part from a text part: an empty file input is sent with
// an empty file name.
func partFile(p *multipart.Part) (name string, ok bool) {
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return "", false
	}
	name, ok = params["filename"]
	return name, ok
}

// decode turns all text from the form's charset into UTF-8.
func (a *answer) decode(cs *charset) error {
	for name, values := range a.fields {
		for i, v := range values {
			text, err := cs.decode(v)
			if err != nil {
				return fmt.Errorf("field %s: %w", name, err)
			}
			values[i] = text
		}
	}
	return nil
}

func isImage(content []byte) bool {
	return strings.HasPrefix(http.DetectContentType(content), "image/")
}
