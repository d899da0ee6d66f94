package httpform

import "strings"

// regionCodes are the regions that forms ask for by code as often as by name.
var regionCodes = map[string]string{
	"US": `AL Alabama;AK Alaska;AZ Arizona;AR Arkansas;CA California;CO Colorado;CT Connecticut;DE Delaware;DC District of Columbia;FL Florida;GA Georgia;HI Hawaii;
		ID Idaho;IL Illinois;IN Indiana;IA Iowa;KS Kansas;KY Kentucky;LA Louisiana;ME Maine;MD Maryland;MA Massachusetts;MI Michigan;MN Minnesota;MS Mississippi;MO Missouri;
		MT Montana;NE Nebraska;NV Nevada;NH New Hampshire;NJ New Jersey;NM New Mexico;NY New York;NC North Carolina;ND North Dakota;OH Ohio;OK Oklahoma;OR Oregon;PA Pennsylvania;
		RI Rhode Island;SC South Carolina;SD South Dakota;TN Tennessee;TX Texas;UT Utah;VT Vermont;VA Virginia;WA Washington;WV West Virginia;WI Wisconsin;WY Wyoming`,
	"CA": `AB Alberta;BC British Columbia;MB Manitoba;NB New Brunswick;NL Newfoundland and Labrador;NS Nova Scotia;NT Northwest Territories;NU Nunavut;ON Ontario;PE Prince Edward Island;QC Quebec;SK Saskatchewan;YT Yukon`,
	"AU": `ACT Australian Capital Territory;NSW New South Wales;NT Northern Territory;QLD Queensland;SA South Australia;TAS Tasmania;VIC Victoria;WA Western Australia`,
}

// regionNames are the ways to write a region, as the profile has it first.
func regionNames(country, region string) []string {
	out := []string{region}
	for entry := range strings.SplitSeq(regionCodes[country], ";") {
		code, name, _ := strings.Cut(strings.TrimSpace(entry), " ")
		switch {
		case code == "":
		case strings.EqualFold(region, code):
			out = append(out, name)
		case strings.EqualFold(region, name):
			out = append(out, code)
		}
	}
	return out
}
