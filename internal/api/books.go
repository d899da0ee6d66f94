package api

import (
	"net/http"

	"github.com/directorybolt/directorybolt/internal/job"
)

type booksView = job.Balance

func (s *server) getBooks(w http.ResponseWriter, r *http.Request) error {
	if s.Balance == nil {
		return refuse(http.StatusNotFound, codeNotFound, "nobody keeps the books here")
	}
	b, err := s.Balance(r.Context())
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, b)
}
