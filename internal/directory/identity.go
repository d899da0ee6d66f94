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
	country := strings.ToUpper(squeeze(b.Country))
	reach := "host:" + websiteHost(normalWebsite(squeeze(b.Website)))
	if reach == "host:" {
		reach = "phone:" + normalPhone(squeeze(b.Phone), country)
	}
	code := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(squeeze(b.PostalCode)))
	sum := sha256.Sum256([]byte(strings.Join([]string{"1", customer.String(), reach, code, country}, "\n")))
	return hex.EncodeToString(sum[:])
}
