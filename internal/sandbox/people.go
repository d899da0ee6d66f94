package sandbox

import (
	"html/template"
	"net/http"

	"github.com/directorybolt/directorybolt/internal/directory"
)

// captcha shows a widget that the catalog does not know of, and takes no post
// without its answer.
type captcha struct{ plain }

func (c *captcha) sheet() sheet {
	f := standardSheet()
	f.Widget = `<div class="g-recaptcha" data-sitekey="6Lexample-of-the-sandbox"></div>`
	return f
}

func (c *captcha) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.refuse(w, f.post, http.StatusForbidden, "Please prove that you are a person.")
	}
}

// captchaDeclared is the same with another widget, and the catalog knows.
type captchaDeclared struct{ captcha }

func (c *captchaDeclared) sheet() sheet {
	f := standardSheet()
	f.Widget = `<div class="h-captcha" data-sitekey="example-of-the-sandbox"></div>`
	return f
}

func (c *captchaDeclared) describe(d *directory.Directory) { d.HasCaptcha = true }

// challenge checks the browser before it shows anything.
type challenge struct{ plain }

func (c *challenge) form(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cf-Mitigated", "challenge")
	c.ask(w, http.StatusForbidden, request{ID: "challenge", Title: "Just a moment…", Text: "We check that you are a person.",
		Widget: `<div class="cf-turnstile" data-sitekey="example-of-the-sandbox"></div>`})
}

func (c *challenge) describe(d *directory.Directory) {
	d.Action = []directory.ActionRule{{Rule: directory.Rule{Status: http.StatusForbidden, Selector: "#challenge"}, Need: directory.NeedCaptcha}}
}

// loginWall lets nobody in who is not known.
type loginWall struct{ plain }

func (c *loginWall) form(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/login?next=/add", http.StatusFound)
}

func (c *loginWall) describe(d *directory.Directory) {
	d.Action = []directory.ActionRule{{Rule: directory.Rule{URL: "/login", Selector: "form#login input[type=password]"}, Need: directory.NeedLogin}}
}

func (c *loginWall) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) {
		c.ask(w, http.StatusOK, request{ID: "members", Title: "Members only", Text: "Please log in to add a listing.", Widget: loginForm})
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if a, p := c.read(w, r); a != nil {
			c.refuse(w, p, http.StatusForbidden, "We do not know you.")
		}
	})
}

const loginForm = `<form id="login" method="post" action="/login">
<label>E-mail <input type="email" name="email" autocomplete="username"></label>
<label>Password <input type="password" name="password" autocomplete="current-password"></label>
<button>Log in</button></form>`

// loginDeclared is the same, and the catalog knows.
type loginDeclared struct{ loginWall }

func (c *loginDeclared) describe(d *directory.Directory) {
	c.loginWall.describe(d)
	d.RequiresLogin = true
}

// payment takes the entry in and lists it when it is paid for, which it never is.
type payment struct{ plain }

func (c *payment) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.hold(f)
		c.ask(w, http.StatusOK, request{ID: "checkout", Title: "One step left", Text: "Your listing costs $49 a year. Please complete your payment.",
			Widget: `<form method="post" action="/pay"><label>Card number <input type="text" name="card" autocomplete="cc-number"></label> <button>Pay</button></form>`})
	}
}

func (c *payment) routes(mux *http.ServeMux) { mux.HandleFunc("POST /pay", c.wrongPlace) }

func (c *payment) describe(d *directory.Directory) {
	d.Action = []directory.ActionRule{{Rule: directory.Rule{Selector: "#checkout", Text: "complete your payment"}, Need: directory.NeedPayment}}
	d.Lookup.AbsenceIsProof = false // an unpaid entry is not found
}

// paidDeclared is the same, and the catalog knows.
type paidDeclared struct{ payment }

func (c *paidDeclared) describe(d *directory.Directory) {
	c.payment.describe(d)
	d.Paid = true
}

// emailConfirmation takes the entry in and waits for a click in an e-mail.
type emailConfirmation struct{ plain }

func (c *emailConfirmation) file(w http.ResponseWriter, r *http.Request) {
	if f := c.receive(w, r, c.page); f != nil {
		c.hold(f)
		c.ask(w, http.StatusOK, request{ID: "confirm", Title: "Check your inbox", Text: "We have sent you an e-mail. Your entry appears once you follow its link."})
	}
}

func (c *emailConfirmation) describe(d *directory.Directory) {
	d.Action = []directory.ActionRule{{Rule: directory.Rule{Selector: "#confirm", Text: "check your inbox"}, Need: directory.NeedEmailVerification}}
	d.Lookup.AbsenceIsProof = false // an unconfirmed entry is not found
}

// automationForbidden would work, but its terms do not allow it.
type automationForbidden struct{ plain }

func (c *automationForbidden) describe(d *directory.Directory) {
	d.Automation = directory.AutomationForbidden
}

// request is a page that asks a person for something.
type request struct {
	ID, Title, Text string
	Widget          template.HTML
}

func (s *site) ask(w http.ResponseWriter, status int, q request) {
	s.render(w, status, "action", q.Title, q)
}
