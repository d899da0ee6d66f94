package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/google/uuid"
)

// Identity names the business across orders, so that a directory gets it at most
// once: the hex SHA-256 of the customer, the website's host without www. (or the
// phone, when there is no website), the postal code and the country. How the
// profile is written makes no difference. Changing this function would make every
// business a new one.
func (b *Business) Identity(customer uuid.UUID) string {
	n := Business{Website: b.Website, Phone: b.Phone, PostalCode: b.PostalCode, Country: b.Country}
	n.Normalize()
	reach := "host:" + websiteHost(n.Website)
	if reach == "host:" {
		reach = "phone:" + n.Phone
	}
	code := strings.NewReplacer(" ", "", "-", "").Replace(n.PostalCode)
	sum := sha256.Sum256([]byte(strings.Join([]string{"1", customer.String(), reach, code, n.Country}, "\n")))
	return hex.EncodeToString(sum[:])
}
