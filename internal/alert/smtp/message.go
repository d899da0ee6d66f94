package smtp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/directorybolt/directorybolt/internal/alert"
)

// message is the mail: text alone, so that nothing in it is a link or a script. Its
// Message-ID is the same each time it is tried, and mails about one alert are a thread.
func (n *Notifier) message(p alert.Post) []byte {
	c := p.Content(n.config.PublicURL)
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("From", "DirectoryBolt <"+n.from+">")
	header("To", oneLine(strings.Join(n.config.To, ", ")))
	header("Subject", mime.QEncoding.Encode("utf-8", subject(c)))
	header("Date", p.At.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+p.ID.String()+"@directorybolt.invalid>")
	if !p.Message.Digest() {
		thread := "<" + p.Message.AlertID.String() + "@directorybolt.invalid>"
		header("In-Reply-To", thread)
		header("References", thread)
	}
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "base64")
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(c.Plain(), "\n", "\r\n")))
	const width = 76
	for ; len(text) > width; text = text[width:] {
		b.WriteString(text[:width] + "\r\n")
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}

func subject(c alert.Content) string {
	const most = 150
	text := []rune(oneLine(strings.Join(append([]string{c.Title}, c.Notes...), " · ")))
	if len(text) > most {
		text = append(text[:most-1], '…')
	}
	return string(text)
}

// oneLine is s without the characters that could begin another header or command.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, s)
}
