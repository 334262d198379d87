package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"rootwatch/pipeline/scan"
)

// maxOpening is how many bytes are looked at for the beginning of a list.
const maxOpening = 128

// opensList reports whether a document begins with its list of events: {"Records":[ or {"Events":[
// , which is "events" in an answer of CloudWatch Logs' FilterLogEvents.
func opensList(data []byte) bool {
	rest := bytes.TrimLeft(data[1:], " \t\r\n")
	for _, name := range []string{`"Records"`, `"Events"`, `"events"`} {
		if !bytes.HasPrefix(rest, []byte(name)) {
			continue
		}
		rest = bytes.TrimLeft(rest[len(name):], " \t\r\n")
		if len(rest) == 0 || rest[0] != ':' {
			return false
		}
		rest = bytes.TrimLeft(rest[1:], " \t\r\n")
		return len(rest) > 0 && rest[0] == '['
	}
	return false
}

// members goes through the document that begins here, and cuts the elements of its lists.
func (c *cutter) members() error {
	c.start++
	if b, ok := c.peek(); ok && b == '}' {
		c.start++
		return nil
	}
	var payload payload
	lists := 0
	for {
		name, err := c.name()
		if err != nil {
			return err
		}
		wrap, isList := payload.list(name)
		b, ok := c.peek()
		switch {
		case !ok:
			return c.cutOff()
		case isList && b == '[':
			lists++
			err = c.array(func() error {
				data, v := c.value()
				return c.ended(data, v, true, wrap)
			})
		default:
			err = c.member(name, &payload)
		}
		if err != nil {
			return err
		}
		switch b, ok := c.peek(); {
		case !ok:
			return c.cutOff()
		case b == '}':
			c.start++
			if lists == 0 {
				return errTooLong // or it would have been handed over whole
			}
			return nil
		case b != ',':
			return fmt.Errorf("invalid JSON: %q where a comma or the end of an object is due", b)
		}
		c.start++
	}
}

// name steps over a member's name and the colon.
func (c *cutter) name() (string, error) {
	if b, ok := c.peek(); ok && b != '"' {
		return "", fmt.Errorf("invalid JSON: %q where a member's name is due", b)
	}
	data, v := c.value()
	switch {
	case v == scan.Incomplete && c.err == nil:
		return "", errTooLong
	case v == scan.Incomplete:
		return "", c.cutOff()
	case v == scan.Invalid:
		return "", fmt.Errorf("invalid JSON in a member's name")
	}
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return "", fmt.Errorf("a member's name: %w", err)
	}
	switch b, ok := c.peek(); {
	case !ok:
		return "", c.cutOff()
	case b != ':':
		return "", fmt.Errorf("invalid JSON: %q where a colon is due", b)
	}
	c.start++
	return name, nil
}

// member steps over the value of a member that is no list of events.
func (c *cutter) member(name string, p *payload) error {
	data, v := c.value()
	switch {
	case v == scan.Incomplete && c.err == nil:
		return c.skip()
	case v == scan.Incomplete:
		return c.cutOff()
	case v == scan.Invalid:
		return fmt.Errorf("invalid JSON in the value of %.40q", name)
	}
	p.note(name, data)
	return nil
}

// payload is what the elements of a CloudWatch Logs payload need to be understood one by one.
type payload struct {
	owner []byte // nil if it is not named, or not before the list
}

func (p *payload) note(name string, value []byte) {
	if strings.EqualFold(name, "owner") && len(value) <= 64 {
		p.owner = bytes.Clone(value)
	}
}

// list reports whether a member of that name is a list of events, and how its elements are handed
// over. Names are compared as encoding/json compares them.
func (p *payload) list(name string) (wrap func([]byte) []byte, ok bool) {
	switch {
	case strings.EqualFold(name, "Records"), strings.EqualFold(name, "Events"):
		return messageEvent, true
	case strings.EqualFold(name, "logEvents"):
		return p.wrap, true
	}
	return nil, false
}

// wrap makes a payload of its own of an element of logEvents.
func (p *payload) wrap(element []byte) []byte {
	owner := ""
	if p.owner != nil {
		owner = `"owner":` + string(p.owner) + `,`
	}
	return fmt.Appendf(nil, `{"messageType":"DATA_MESSAGE",%s"logEvents":[%s]}`, owner, element)
}

// quotedEvent makes an element of LookupEvents' answer of a string that may hold an event: `--query
// 'Events[].CloudTrailEvent'` gives a list of these.
func quotedEvent(value []byte) []byte {
	if bytes.HasPrefix(value, []byte(`"{`)) {
		return fmt.Appendf(nil, `{"CloudTrailEvent":%s}`, value)
	}
	return messageEvent(value)
}

// messageEvent makes a payload of a line of a log group, as FilterLogEvents and GetLogEvents answer
// with: {"timestamp":…, "message":"event"}. Those of other programs stay what they are.
func messageEvent(value []byte) []byte {
	if !holdsMessages(value) {
		return value
	}
	var line struct {
		Message, EventSource, UserIdentity, CloudTrailEvent, MessageType, Detail json.RawMessage
	}
	if json.Unmarshal(value, &line) != nil || len(line.Message) == 0 || line.Message[0] != '"' || !speaksOfEvents(line.Message) ||
		line.EventSource != nil || line.UserIdentity != nil || line.CloudTrailEvent != nil || line.MessageType != nil || line.Detail != nil {
		return value
	}
	return fmt.Appendf(nil, `{"messageType":"DATA_MESSAGE","logEvents":[%s]}`, value)
}

// answersWithMessages reports whether a document is a whole answer with such lines, and begins with
// something else.
func answersWithMessages(value []byte) bool {
	if !holdsMessages(value) || !bytes.Contains(value, []byte(`"events"`)) {
		return false
	}
	var answer struct {
		Events                               []json.RawMessage
		EventSource, UserIdentity, LogEvents json.RawMessage
	}
	return json.Unmarshal(value, &answer) == nil && len(answer.Events) > 0 &&
		answer.EventSource == nil && answer.UserIdentity == nil && answer.LogEvents == nil
}

// holdsMessages rules out what is surely no such line or answer, without decoding it.
func holdsMessages(value []byte) bool {
	return value[0] == '{' && bytes.Contains(value, []byte(`"message"`)) && speaksOfEvents(value)
}
