package directory

import (
	"errors"
	"time"

	"github.com/google/uuid"
)

// Arrival is an effect of a canary that reached the witness: the table that stands
// for the outside world. The witness takes in what comes, as often as it comes, so
// that whatever is done twice shows.
type Arrival struct {
	OrderID   uuid.UUID `json:"order_id"`
	Directory string    `json:"directory"` // the canary directory it was sent to
	Fence     int64     `json:"fence"`     // of the claim that sent it
	WorkerID  uuid.UUID `json:"worker_id"`
	At        time.Time `json:"at"` // the store's clock

	// Until is the deadline of the effect, on the store's clock: the witness does not
	// take in what arrives later, however long it was on the way.
	Until time.Time `json:"-"`
}

// ErrLate: the effect arrived after its deadline and was not taken in.
var ErrLate = errors.New("arrived after its deadline")
