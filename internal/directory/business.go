package directory

// Business is the profile of a business, with schema.org LocalBusiness names
// where they exist. It is what a customer hands in and what forms are filled from.
type Business struct {
	Name             string            `yaml:"name" json:"name"`
	LegalName        string            `yaml:"legal_name" json:"legal_name,omitempty"`
	ContactName      string            `yaml:"contact_name" json:"contact_name,omitempty"`
	Email            string            `yaml:"email" json:"email"`
	Phone            string            `yaml:"phone" json:"phone"` // E.164 after Normalize
	Website          string            `yaml:"website" json:"website"`
	Street           string            `yaml:"street" json:"street"`
	City             string            `yaml:"city" json:"city"`
	Region           string            `yaml:"region" json:"region"`
	PostalCode       string            `yaml:"postal_code" json:"postal_code"`
	Country          string            `yaml:"country" json:"country"`   // ISO 3166-1 alpha-2
	Category         string            `yaml:"category" json:"category"` // our taxonomy, a slug
	Tagline          string            `yaml:"tagline" json:"tagline,omitempty"`
	ShortDescription string            `yaml:"short_description" json:"short_description,omitempty"` // at most 160 characters
	Description      string            `yaml:"description" json:"description"`                       // at most 2000 characters
	Keywords         []string          `yaml:"keywords" json:"keywords,omitempty"`
	Hours            string            `yaml:"hours" json:"hours,omitempty"`               // schema.org openingHours: "Mo-Fr 09:00-17:00; Sa 10:00-13:00"
	Logo             string            `yaml:"logo" json:"logo,omitempty"`                 // path beside the profile file when read, data: URL in an order
	Socials          map[string]string `yaml:"socials" json:"socials,omitempty"`           // network -> URL
	YearFounded      int               `yaml:"year_founded" json:"year_founded,omitempty"` // four digits
}
