package sandbox

import "net/http"

// latin1Page is a directory in ISO-8859-1, as its pages' headers say.
type latin1Page struct{ plain }

func (c *latin1Page) at(s *site) {
	c.site = s
	s.charset = latin1
}

// cyrillicPage is a directory in windows-1251; its form says so as well.
type cyrillicPage struct{ plain }

func (c *cyrillicPage) at(s *site) {
	c.site = s
	s.charset = windows1251
}

func (c *cyrillicPage) sheet() sheet {
	f := standardSheet()
	f.Accept = windows1251.name
	return f
}

// acceptCharset is a page in UTF-8 whose form is to be sent in ISO-8859-1.
type acceptCharset struct{ plain }

func (c *acceptCharset) sheet() sheet {
	f := standardSheet()
	f.Accept = latin1.name
	return f
}

func (c *acceptCharset) file(w http.ResponseWriter, r *http.Request) {
	a, post := c.read(w, r)
	if a == nil {
		return
	}
	if err := a.decode(latin1); err != nil {
		c.refuse(w, post, http.StatusBadRequest, "We could not read your form: "+err.Error()+".")
		return
	}
	if f := c.check(w, c.page, a, post); f != nil {
		c.thank(w, c.accept(f))
	}
}
