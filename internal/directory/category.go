package directory

import (
	"slices"
	"strings"
)

// Category is one line of work of our taxonomy. A directory maps it to its own
// words, see [Directory.Categories].
type Category struct {
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// CategoryGeneral is the category of a directory that takes every business. No
// business has it.
const CategoryGeneral = "general"

// Categories lists the taxonomy by slug.
func Categories() []Category { return slices.Clone(categories) }

// CategoryName returns the name of a category, and whether there is such a slug.
func CategoryName(slug string) (string, bool) {
	i, ok := slices.BinarySearchFunc(categories, slug, func(c Category, s string) int { return strings.Compare(c.Slug, s) })
	if !ok {
		return "", false
	}
	return categories[i].Name, true
}

func categorySlugs() []string {
	slugs := make([]string, len(categories))
	for i, c := range categories {
		slugs[i] = c.Slug
	}
	return slugs
}

// categories is sorted by slug; CategoryName searches it.
var categories = []Category{
	{"accountant", "Accountant"},
	{"advertising-agency", "Advertising Agency"},
	{"architect", "Architect"},
	{"art-gallery", "Art Gallery"},
	{"auto-dealer", "Car Dealer"},
	{"auto-repair", "Car Repair"},
	{"bakery", "Bakery"},
	{"bank", "Bank"},
	{"bar", "Bar"},
	{"beauty-salon", "Beauty Salon"},
	{"bookstore", "Bookstore"},
	{"brewery", "Brewery"},
	{"butcher", "Butcher"},
	{"cafe", "Cafe"},
	{"car-rental", "Car Rental"},
	{"carpenter", "Carpenter"},
	{"catering", "Catering"},
	{"childcare", "Childcare"},
	{"chiropractor", "Chiropractor"},
	{"cleaning-service", "Cleaning Service"},
	{"clothing-store", "Clothing Store"},
	{"construction-company", "Construction Company"},
	{"consulting", "Consulting"},
	{"convenience-store", "Convenience Store"},
	{"coworking-space", "Coworking Space"},
	{"dentist", "Dentist"},
	{"dry-cleaner", "Dry Cleaner"},
	{"e-commerce", "Online Shop"},
	{"electrician", "Electrician"},
	{"electronics-store", "Electronics Store"},
	{"employment-agency", "Employment Agency"},
	{"event-planner", "Event Planner"},
	{"farm", "Farm"},
	{"financial-services", "Financial Services"},
	{"florist", "Florist"},
	{"funeral-home", "Funeral Home"},
	{"furniture-store", "Furniture Store"},
	{"garden-center", "Garden Centre"},
	{"grocery-store", "Grocery Store"},
	{"gym", "Gym"},
	{"hair-salon", "Hair Salon"},
	{"hardware-store", "Hardware Store"},
	{"hospital", "Hospital"},
	{"hotel", "Hotel"},
	{"hvac", "Heating and Air Conditioning"},
	{"insurance-agency", "Insurance Agency"},
	{"interior-designer", "Interior Designer"},
	{"it-services", "IT Services"},
	{"jewelry-store", "Jewellery Store"},
	{"landscaper", "Landscaper"},
	{"laundry", "Laundry"},
	{"lawyer", "Lawyer"},
	{"locksmith", "Locksmith"},
	{"manufacturer", "Manufacturer"},
	{"marketing-agency", "Marketing Agency"},
	{"massage", "Massage"},
	{"medical-clinic", "Medical Clinic"},
	{"moving-company", "Moving Company"},
	{"museum", "Museum"},
	{"music-school", "Music School"},
	{"non-profit", "Non-profit Organisation"},
	{"notary", "Notary"},
	{"optician", "Optician"},
	{"painter", "Painter"},
	{"pest-control", "Pest Control"},
	{"pet-store", "Pet Store"},
	{"pharmacy", "Pharmacy"},
	{"photographer", "Photographer"},
	{"physiotherapist", "Physiotherapist"},
	{"plumber", "Plumber"},
	{"printing-service", "Printing Service"},
	{"property-manager", "Property Manager"},
	{"real-estate-agency", "Real Estate Agency"},
	{"restaurant", "Restaurant"},
	{"roofer", "Roofer"},
	{"school", "School"},
	{"security-service", "Security Service"},
	{"shoe-store", "Shoe Store"},
	{"software", "Software"},
	{"spa", "Spa"},
	{"storage", "Self Storage"},
	{"tailor", "Tailor"},
	{"tattoo-studio", "Tattoo Studio"},
	{"taxi", "Taxi"},
	{"tour-operator", "Tour Operator"},
	{"toy-store", "Toy Store"},
	{"translator", "Translator"},
	{"travel-agency", "Travel Agency"},
	{"tutor", "Tutor"},
	{"veterinarian", "Veterinarian"},
	{"web-design", "Web Design"},
	{"wedding-service", "Wedding Service"},
	{"wholesaler", "Wholesaler"},
	{"yoga-studio", "Yoga Studio"},
}
