package sandbox

import (
	"fmt"
	"math/rand/v2"
)

var (
	nameFirst = []string{"Harbor", "Maple", "Granite", "Lantern", "Meadow", "Copper", "Juniper", "Summit", "Willow", "Beacon",
		"Orchard", "Prairie", "Cedar", "Anchor", "Heron", "Valley", "Quarry", "Birch", "Falcon", "Sterling"}
	nameLast = []string{"Business Pages", "Local Guide", "Trade Index", "Town Directory", "Company Finder", "Market List",
		"Service Register", "Shop Atlas", "Street Book", "Pro Listings", "City Ledger", "Firm Finder"}
)

// directoryNames returns n different names; the same source of chance gives the
// same names.
func directoryNames(n int, chance *rand.Rand) []string {
	pairs := chance.Perm(len(nameFirst) * len(nameLast))
	names := make([]string, n)
	for i := range names {
		p := pairs[i%len(pairs)]
		names[i] = nameFirst[p%len(nameFirst)] + " " + nameLast[p/len(nameFirst)]
		if round := i / len(pairs); round > 0 {
			names[i] += fmt.Sprintf(" %d", round+1)
		}
	}
	return names
}
