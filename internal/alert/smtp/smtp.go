// Package smtp sends alerts by mail, with TLS wherever it does not stay on this
// machine.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
	"github.com/directorybolt/directorybolt/internal/alert/webpost"
)

// Config says which server sends to whom.
type Config struct {
	// URL is smtp://USER:PASSWORD@HOST:PORT, which must offer STARTTLS unless the host
	// is this machine, or smtps:// for TLS from the start. A secret. The parameter
	// from names the sender; without it the user does, when it is an address.
	URL       string
	To        []string
	PublicURL string         // where people reach this installation; empty: no link
	Roots     *x509.CertPool // nil: the system's
}

// Notifier sends by one server.
type Notifier struct {
	config   Config
	host     string // without port
	address  string // with it
	implicit bool   // TLS from the start
	auth     smtp.Auth
	password string
	from     string
}

// New returns a notifier.
func New(c Config) (*Notifier, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, errors.New("read the address of the mail server: want smtp://USER:PASSWORD@HOST:PORT or smtps://…")
	}
	n := &Notifier{config: c, host: u.Hostname(), implicit: u.Scheme == "smtps"}
	port := u.Port()
	switch {
	case port == "" && n.implicit:
		port = "465"
	case port == "":
		port = "587"
	}
	n.address = net.JoinHostPort(n.host, port)
	if u.User != nil {
		n.password, _ = u.User.Password()
		n.auth = smtp.PlainAuth("", u.User.Username(), n.password, n.host)
	}
	n.from = sender(u)
	return n, nil
}

func sender(u *url.URL) string {
	if from := u.Query().Get("from"); from != "" {
		return oneLine(from)
	}
	if name := u.User.Username(); strings.Contains(name, "@") {
		return oneLine(name)
	}
	return "directorybolt@" + u.Hostname()
}

// Channel is "email".
func (*Notifier) Channel() string { return "email" }

// Target hashes server and receivers.
func (n *Notifier) Target() string {
	return webpost.Target(append([]string{n.config.URL}, n.config.To...)...)
}

// Least is everything.
func (*Notifier) Least() alert.Severity { return alert.Info }

// Send hands the message to the server once.
func (n *Notifier) Send(ctx context.Context, p alert.Post) alert.Receipt {
	d := &dialogue{Notifier: n, message: n.message(p)}
	err := d.hold(ctx)
	if err == nil {
		return alert.Receipt{Outcome: alert.Delivered, Cause: d.partly()}
	}
	r := judge(err, d.step)
	if ctx.Err() != nil {
		r.Outcome, r.Cause = alert.Retry, "no answer in time, at "+string(d.step)
	}
	r.Doubt = d.handed && r.Outcome == alert.Retry && !answered(err)
	if n.password != "" {
		r.Cause = strings.ReplaceAll(r.Cause, n.password, "[redacted]")
	}
	return r
}

// step is how far the dialogue came.
type step string

const (
	connecting step = "connect"
	securing   step = "STARTTLS"
	greeting   step = "EHLO"
	proving    step = "AUTH"
	sending    step = "MAIL"
	naming     step = "RCPT"
	handing    step = "DATA"
)

// dialogue is one session with the server.
type dialogue struct {
	*Notifier
	message []byte
	step    step
	handed  bool // the whole message is out
	refused []error
}

// errPlain is a server that would have the message and the password in the clear.
var errPlain = errors.New("the server offers no STARTTLS and is not this machine")

func (d *dialogue) hold(ctx context.Context) error {
	d.step = connecting
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	defer conn.Close()
	if d.implicit {
		d.step = securing
		conn = tls.Client(conn, d.tls())
	}
	c, err := smtp.NewClient(conn, d.host)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, part := range []struct {
		step step
		do   func(*smtp.Client) error
	}{{greeting, d.greet}, {securing, d.secure}, {proving, d.prove}, {sending, d.mail}, {naming, d.name}, {handing, d.hand}} {
		d.step = part.step
		if err := part.do(c); err != nil {
			return err
		}
	}
	_ = c.Quit() // the server has the message; how it says goodbye does not matter
	return nil
}

func (d *dialogue) tls() *tls.Config {
	return &tls.Config{ServerName: d.host, RootCAs: d.config.Roots, MinVersion: tls.VersionTLS12}
}

func (d *dialogue) greet(c *smtp.Client) error { return c.Hello("directorybolt.invalid") }

func (d *dialogue) secure(c *smtp.Client) error {
	if d.implicit {
		return nil
	}
	if offered, _ := c.Extension("STARTTLS"); !offered {
		if !loopback(d.host) {
			return errPlain
		}
		return nil
	}
	return c.StartTLS(d.tls())
}

func (d *dialogue) prove(c *smtp.Client) error {
	if d.auth == nil {
		return nil
	}
	return c.Auth(d.auth)
}

func (d *dialogue) mail(c *smtp.Client) error { return c.Mail(d.from) }

// name names the receivers. Who is refused does not cost the others the message.
func (d *dialogue) name(c *smtp.Client) error {
	for _, to := range d.config.To {
		if err := c.Rcpt(oneLine(to)); err != nil {
			if !answered(err) {
				return err
			}
			d.refused = append(d.refused, fmt.Errorf("%s: %w", to, err))
		}
	}
	if len(d.refused) == len(d.config.To) {
		return errors.Join(d.refused...)
	}
	return nil
}

func (d *dialogue) hand(c *smtp.Client) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(d.message); err != nil {
		return err
	}
	d.handed = true // Close ends the message and waits for the answer
	return w.Close()
}

// partly says who did not get the message that others got.
func (d *dialogue) partly() string {
	if len(d.refused) == 0 {
		return ""
	}
	return "not to all: " + oneLine(errors.Join(d.refused...).Error())
}

// answered reports whether the server said so itself.
func answered(err error) bool { return errors.As(err, new(*textproto.Error)) }

// judge reads how the dialogue broke off: 4xx is later; 5xx before the message is about
// the channel, after it about the message.
func judge(err error, at step) alert.Receipt {
	r := alert.Receipt{Outcome: alert.Retry, Cause: oneLine(string(at) + ": " + err.Error())}
	var said *textproto.Error
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errPlain), errors.As(err, &untrusted):
		r.Outcome = alert.Closed
	case errors.As(err, &said) && at == proving:
		// Its words may repeat what it was given.
		r.Cause = fmt.Sprintf("AUTH: code %d, user or password refused", said.Code)
		if said.Code/100 == 5 {
			r.Outcome = alert.Closed
		}
	case errors.As(err, &said) && said.Code/100 == 5 && at == handing:
		r.Outcome = alert.Refused
	case errors.As(err, &said) && said.Code/100 == 5:
		r.Outcome = alert.Closed
	case at == proving && !errors.As(err, &said) && !errors.Is(err, io.EOF) && !isNet(err):
		r.Outcome = alert.Closed // the library refuses to send a password in the clear
	}
	return r
}

func isNet(err error) bool {
	var network net.Error
	return errors.As(err, &network)
}

// loopback reports whether the host is this machine.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
