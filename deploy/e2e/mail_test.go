//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailServer takes mails on a port of loopback, with as much of SMTP as Alertmanager speaks.
type mailServer struct {
	listener net.Listener
	deliver  func(notification, error)
	serving  sync.WaitGroup
}

func newMailServer(t *testing.T, deliver func(notification, error)) *mailServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailServer{listener: l, deliver: deliver}
	m.serving.Go(m.serve)
	return m
}

func (m *mailServer) address() string { return m.listener.Addr().String() }

func (m *mailServer) close() {
	m.listener.Close()
	m.serving.Wait()
}

func (m *mailServer) serve() {
	for {
		connection, err := m.listener.Accept()
		if err != nil {
			return // closed
		}
		m.serving.Go(func() {
			defer connection.Close()
			connection.SetDeadline(time.Now().Add(10 * time.Second))
			if err := m.converse(textproto.NewConn(connection)); err != nil {
				m.deliver(notification{by: "mail"}, err)
			}
		})
	}
}

func (m *mailServer) converse(c *textproto.Conn) error {
	say := func(line string) { c.PrintfLine("%s", line) } //nolint:errcheck // whoever hangs up is not told
	say("220 mail.example.invalid")
	for {
		line, err := c.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO", "HELO", "MAIL", "RCPT", "RSET", "NOOP":
			say("250 OK")
		case "DATA":
			say("354 Go on")
			n, err := readMail(c.DotReader())
			m.deliver(n, err)
			say("250 OK")
		case "QUIT":
			say("221 Bye")
			return nil
		default:
			say("502 Not known")
		}
	}
}

// readMail gives the subject and the plain text of a mail.
func readMail(in io.Reader) (notification, error) {
	n := notification{at: time.Now(), by: "mail"}
	message, err := mail.ReadMessage(in)
	if err != nil {
		return n, err
	}
	if n.title, err = new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject")); err != nil {
		return n, err
	}
	_, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return n, err
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return n, fmt.Errorf("looking for the mail's plain text: %w", err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			text, err := io.ReadAll(part)
			n.text = strings.ReplaceAll(string(text), "\r\n", "\n")
			return n, err
		}
	}
}
