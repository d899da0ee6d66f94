package api

import (
	"errors"
	"net/http"

	"github.com/directorybolt/directorybolt/internal/auth"
	"github.com/directorybolt/directorybolt/internal/job"
)

type (
	customerView = auth.Account
	erasureView  = auth.Erasure
)

// customerNotFound names what is missing.
func customerNotFound(id job.ID, err error) error {
	if errors.Is(err, job.ErrNotFound) {
		return refuse(http.StatusNotFound, codeCustomerNotFound, "there is no customer %s", id)
	}
	return err
}

func (s *server) getCustomer(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", codeCustomerNotFound)
	if err != nil {
		return err
	}
	c, err := s.Store.Customer(r.Context(), id)
	if err != nil {
		return customerNotFound(id, err)
	}
	return answerJSON(w, http.StatusOK, c)
}

func (s *server) eraseCustomer(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", codeCustomerNotFound)
	if err != nil {
		return err
	}
	var in reasonRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	who, err := by(r, in.Reason)
	if err != nil {
		return err
	}
	done, err := s.Erase(r.Context(), id, who)
	if errors.Is(err, job.ErrState) {
		return refuse(http.StatusConflict, codeInvalidStatus, "orders of the customer are not over; cancel them first")
	}
	if err != nil {
		return customerNotFound(id, err)
	}
	if done.Evidence == nil {
		done.Evidence = []string{}
	}
	return answerJSON(w, http.StatusOK, done)
}
