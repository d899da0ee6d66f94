package formfield

import (
	"slices"
	"strings"
)

// foreign is the key of what we know and no profile has.
const foreign = "-"

// vocabulary lists for each key the phrases that name it. A phrase with a ! is a
// name only when nothing else is said: "company" is one, "company size" is not.
var vocabulary = compile(map[string]string{
	"name": `business name; company name; organization name; organisation name; name of business; name of company; name of your business;
		name of your company; name of the business; name of organization; listing name; listing title; business title; store name; shop name; brand name;
		firm name; trading name; trade name; practice name; site name; website name; website title; site title; product name; startup name; tool name;
		place name; establishment name; venue name; agency name; restaurant name; dba; doing business as; company!; business!; organization!; organisation!;
		firm!; brand!; startup!; firmenname; unternehmensname; name der firma; name des unternehmens; firma!; unternehmen!; betrieb!;
		nom de l entreprise; nom de la societe; nom de votre entreprise; raison sociale!; entreprise!; societe!; nombre de la empresa; nombre del negocio;
		nombre de empresa; empresa!; negocio!; nome azienda; nome dell azienda; azienda!; nome da empresa; bedrijfsnaam; bedrijf!; nazwa firmy`,
	"legal_name":         `legal name; legal business name; registered name; legal company name; legal entity name; company legal name; registered company name`,
	"contact_name":       `contact name; contact person; your name; full name; person name; owner name; business owner; manager name; submitter name; submitted by!; author name; name of contact; contact!; representative name; owner!; ansprechpartner; ansprechpartnerin; kontaktperson; ihr name; votre nom; personne de contact; persona de contacto; su nombre; contactpersoon; referente!`,
	"contact_first_name": `first name; given name; forename; fname; firstname; vorname; prenom; voornaam; nombre de pila`,
	"contact_last_name":  `last name; family name; surname; lname; lastname; nachname; familienname; nom de famille; apellido; apellidos; achternaam; cognome`,
	"email":              `email; e mail; email address; e mail address; mail!; contact email; business email; correo electronico; correo!; courriel; adresse e mail; adresse mail; emailadres; e post`,
	"phone": `phone; telephone; tel!; phone number; telephone number; phone no; tel no; contact number; contact phone; business phone; landline; telefon; telefonnummer;
		rufnummer; telefono; numero de telefono; numero di telefono; numero de telephone; telefone; telefoonnummer; telefoon; call us!`,
	"website": `website; web site; web page; webpage; homepage; home page; website url; website address; web address; site url; site address; company url; business url;
		website link; site link; link to website; link to your website; url!; site!; web!; internet address; webseite; internetseite; internetadresse; webadresse;
		site web; site internet; sitio web; pagina web; sito web; sito internet; strona www; www!; product url; startup url; tool url`,
	"website_host": `domain; domain name; domain name without www`,
	"street": `street; street address; address line 1; address line; address 1; addr 1; address one; street name; street and number; street name and number; street 1; mailing address; business address;
		strasse; strasse und hausnummer; strasse hausnummer; strasse nr; rue; calle; via!; indirizzo; rua!; straat; straatnaam; ulica`,
	"address":     `full address; complete address; address!; addr!; anschrift!; adresse!; direccion!; endereco!; adres!; postal address; location address`,
	"city":        `city; town; suburb; locality; city name; town name; stadt; ort!; wohnort; ville; ciudad; poblacion; citta; cidade; plaats; woonplaats; gemeente; miasto; city town; address level 2`,
	"region":      `state; province; region; county; state province; state region; state or province; province or state; bundesland; departement!; provincia; regione; estado; provincie; wojewodztwo; address level 1; territory!`,
	"postal_code": `zip; zip code; postal code; postcode; post code; zipcode; zip postal code; postalcode; plz; postleitzahl; code postal; codigo postal; cap!; cep!; kod pocztowy; zip postcode`,
	"country":     `country; country name; nation!; country region; land!; pays; pais; paese; kraj`,
	"category": `category; categories; business category; company category; main category; primary category; listing category; industry; business type; type of business; kind of business; company type;
		sector; niche!; kategorie; branche; rubrik; categorie; categoria; secteur; sector de actividad; settore; kategoria; industry type; line of business`,
	"tagline":           `tagline; tag line; slogan; motto; one liner; headline!; strapline; catchphrase`,
	"short_description": `short description; brief description; summary; short summary; teaser; excerpt; meta description; short text; short intro; one sentence description; kurzbeschreibung; description courte; descripcion corta; breve descrizione; short bio; elevator pitch`,
	"description": `description; business description; company description; full description; long description; detailed description; about; about us; about your business; about your company;
		about the business; about the company; tell us about your business; tell us about your company; describe your business; describe your company; listing description; description of business;
		overview!; profile!; company profile; business profile; bio!; content!; website description; site description; product description; beschreibung; firmenbeschreibung; descripcion; descrizione; descricao; omschrijving; beschrijving; opis; presentation!`,
	"keywords":     `keywords; keyword; key words; tags; tag!; search terms; schlagworte; stichworte; schlusselworter; mots cles; palabras clave; etiquetas; parole chiave; palavras chave; trefwoorden; services!; products and services; services offered`,
	"hours":        `opening hours; business hours; hours of operation; operating hours; office hours; working hours; opening times; hours!; store hours; offnungszeiten; horaires; horaires d ouverture; horario; horarios; orari; openingstijden`,
	"logo":         `logo; company logo; business logo; logo image; logo file; your logo; brand logo; logo upload; logotipo`,
	"year_founded": `year founded; year established; founded!; established!; founding year; year of establishment; year of foundation; year started; date founded; date established; year in business since; grundungsjahr; established in; founded in; established since; in business since; since!`,

	"social.facebook":  `facebook; fb!; facebook page; facebook url`,
	"social.github":    `github; github url`,
	"social.instagram": `instagram; insta!; ig!; instagram handle; instagram url`,
	"social.linkedin":  `linkedin; linked in; linkedin page; linkedin url; linkedin profile`,
	"social.pinterest": `pinterest; pinterest url`,
	"social.threads":   `threads!; threads url; threads profile`,
	"social.tiktok":    `tiktok; tik tok; tiktok url`,
	"social.x":         `twitter; twitter handle; twitter url; x twitter; twitter x; x!`,
	"social.yelp":      `yelp; yelp url; yelp page`,
	"social.youtube":   `youtube; you tube; youtube channel; youtube url`,

	foreign: `fax; fax number; mobile; mobile number; mobile phone; cell phone; cellphone; handy; whatsapp; telegram; skype; toll free; toll free number; extension!; ext!; phone extension; country code; area code; phone code; dialing code;
		address line 2; address 2; address line 3; address 3; addr 2; street 2; address two; suite; unit!; apartment; apt; floor!; building!; po box; landmark; house number; hausnummer!; neighborhood; neighbourhood; district!;
		company size; number of employees; employees; staff!; team size; revenue; turnover; price; pricing; price range; budget; vat; vat number; tax id; tax number; ein; registration number; company number; license number; licence number; siret; nif; cif; abn;
		latitude; longitude; lat!; lng!; lon!; google map; map link; maps url; gps; coordinates;
		job title; position!; role!; title of contact; salutation; anrede; gender; birthday; date of birth; middle name; nickname; username; user name; login!;
		subject!; message!; comment; comments; notes!; question; questions; additional information; how did you hear; referral; referrer; referred by;
		video; video url; video link; image; images; photo; photos; gallery; cover image; banner; screenshot; screenshot url; logo url; image url; brochure; menu!; attachment; rss; rss feed; feed url; blog; blog url; booking url; affiliate link; pricing url; launch date; date!; time!;
		payment methods; payment method; languages; language!; certifications; awards; rating; review; subcategory; sub category; second category; secondary category; other category; additional category; additional categories; category 2; category 3; service area; areas served; second email; alternate email; alternative email; second phone; alternate phone; other phone; other website; second website; ip address; currency`,
})

type phrase struct {
	key   string
	words []string
	alone bool // a name only when nothing else is said
}

// compile indexes the phrases by their first word, longest first.
func compile(table map[string]string) map[string][]phrase {
	index := make(map[string][]phrase)
	for key, list := range table {
		for text := range strings.SplitSeq(list, ";") {
			text, alone := strings.CutSuffix(strings.TrimSpace(text), "!")
			p := phrase{key: key, words: words(text), alone: alone}
			index[p.words[0]] = append(index[p.words[0]], p)
		}
	}
	for _, list := range index {
		slices.SortFunc(list, func(a, b phrase) int {
			if d := len(b.words) - len(a.words); d != 0 {
				return d
			}
			return strings.Compare(a.key, b.key)
		})
	}
	return index
}

// reading is what a text may name.
type reading struct {
	key   string
	whole bool // the text says nothing else
}

// read finds the key that a text names. Among the phrases in it the longest
// counts; two of the same length for different keys say nothing.
func read(text []string) (reading, bool) {
	var best phrase
	tie := false
	for i := range text {
		for _, p := range vocabulary[text[i]] {
			if !at(text, i, p.words) || p.alone && !wholly(text, i, p.words) {
				continue
			}
			switch {
			case len(p.words) > len(best.words):
				best, tie = p, false
			case len(p.words) == len(best.words) && p.key != best.key:
				tie = true
			}
			break // the list is sorted: what follows at this place is shorter
		}
	}
	if best.key == "" || tie {
		return reading{}, false
	}
	i := index(text, best.words)
	return reading{key: best.key, whole: wholly(text, i, best.words)}, true
}

func at(text []string, i int, phrase []string) bool {
	return len(text)-i >= len(phrase) && slices.Equal(text[i:i+len(phrase)], phrase)
}

func index(text, phrase []string) int {
	for i := range text {
		if at(text, i, phrase) {
			return i
		}
	}
	return -1
}

// wholly reports whether around the phrase at i there are only words that say
// nothing.
func wholly(text []string, i int, phrase []string) bool {
	rest := slices.Concat(text[:i], text[i+len(phrase):])
	return !slices.ContainsFunc(rest, func(w string) bool { return !filler[w] })
}
