package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"rootwatch/classify"
	"rootwatch/pipeline/yamlfile"
)

// The limits of a file: what is in a name comes into logs, and each call is compared with each
// entry.
const (
	maxEntries = 1000
	maxText    = 200 // of ticket and approved_by, in bytes
)

var (
	nameForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	eventForm = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
)

// Parse reads a policy. An entry that lasts for more than [MaxLength], from its beginning or from
// now on, is an error, as is everything else that is not understood: the error is a
// [yamlfile.Problems].
func Parse(data []byte, now time.Time) (*Policy, error) {
	root, err := yamlfile.Parse(data)
	if err != nil {
		return nil, err
	}
	var problems yamlfile.Problems
	r := &reader{now: now, problems: &problems, lines: make(map[string]int)}
	p := &Policy{}
	list := r.list(root)
	if len(list) > maxEntries {
		problems.Add(root, "the policy has %d entries, %d at most: merge some, or take ended ones out", len(list), maxEntries)
		list = nil
	}
	for i, n := range list {
		p.Entries = append(p.Entries, r.entry(n, i+1))
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// reader reads one file.
type reader struct {
	now      time.Time
	problems *yamlfile.Problems
	lines    map[string]int // of entries, by name
}

// list is the entries of a file, which may be none.
func (r *reader) list(root *yaml.Node) []*yaml.Node {
	var list []*yaml.Node
	found := false
	for _, f := range yamlfile.Fields(root, "the policy", r.problems) {
		if f.Key != "expected" {
			r.problems.Add(f.At, "unknown key %s: a policy has the one key expected, a list of entries", yamlfile.Quote(f.Key))
			continue
		}
		found = true
		list = yamlfile.Items(f.Value, "expected", r.problems)
	}
	if !found && root.Kind == yaml.MappingNode && len(*r.problems) == 0 {
		r.problems.Add(root, "the key expected is missing: it is the list of entries, [] for none")
	}
	return list
}

// members are the keys of an entry, in the order in which they are best written.
var members = []string{"name", "accounts", "reasons", "event_names", "source_networks", "from", "until", "ticket", "approved_by"}

// entry reads the entry with a number, which stands for its name where that is of no use.
func (r *reader) entry(n *yaml.Node, number int) Entry {
	e := Entry{Line: n.Line}
	what := fmt.Sprintf("entry %d", number)
	fields := yamlfile.Fields(n, what, r.problems)
	if n.Kind != yaml.MappingNode {
		return e
	}
	if i := slices.IndexFunc(fields, func(f yamlfile.Field) bool { return f.Key == "name" }); i < 0 {
		r.problems.Add(n, "%s has no name: give it one, calls are logged with it", what)
	} else if e.Name = r.name(fields[i].Value, what); e.Name != "" {
		what = "entry " + yamlfile.Quote(e.Name)
	}
	given := make(map[string]*yaml.Node)
	for _, f := range fields {
		if !slices.Contains(members, f.Key) {
			r.problems.Add(f.At, "%s: unknown key %s: an entry has %s", what, yamlfile.Quote(f.Key), strings.Join(members, ", "))
			continue
		}
		given[f.Key] = f.Value
	}
	r.read(&e, given, what)
	r.span(&e, n, given, what)
	return e
}

func (r *reader) name(n *yaml.Node, what string) string {
	before := len(*r.problems)
	name := yamlfile.Text(n, what+": name", r.problems)
	switch {
	case len(*r.problems) > before:
		return ""
	case !nameForm.MatchString(name):
		r.problems.Add(n, "%s: name is %s, want 1 to 64 letters, digits, dots, dashes or underscores, with a letter or digit first", what, yamlfile.Quote(name))
		return ""
	case r.lines[name] != 0:
		r.problems.Add(n, "entry %s: the entry in line %d has the same name: rename one, so that the log tells which one expected a call", yamlfile.Quote(name), r.lines[name])
		return name
	}
	r.lines[name] = n.Line
	return name
}

// read reads all but the name and the times.
func (r *reader) read(e *Entry, given map[string]*yaml.Node, what string) {
	if given["accounts"] == nil {
		r.problems.Add(&yaml.Node{Line: e.Line}, "%s: accounts is missing: name the ids of the accounts whose root calls are expected", what)
	}
	each(r, given["accounts"], what, "accounts", "the id of an account in 12 digits, such as 111122223333", &e.Accounts, func(s string) (string, bool) {
		return s, classify.IsAccountID(s)
	})
	each(r, given["reasons"], what, "reasons", "one of "+strings.Join(reasons(), ", "), &e.Reasons, func(s string) (classify.Reason, bool) {
		return classify.Reason(s), slices.Contains(reasons(), s)
	})
	each(r, given["event_names"], what, "event_names", "an event's name as CloudTrail writes it, such as CreateAccessKey", &e.EventNames, func(s string) (string, bool) {
		return s, eventForm.MatchString(s)
	})
	each(r, given["source_networks"], what, "source_networks", "a network such as 203.0.113.0/24 or 2001:db8::/32", &e.SourceNetworks, network)
	e.Ticket = r.note(given["ticket"], what+": ticket")
	e.ApprovedBy = r.note(given["approved_by"], what+": approved_by")
}

// reasons are those that a call can be expected for.
func reasons() (list []string) {
	for _, r := range classify.Reasons() {
		if r.Verdict == classify.Unexplained {
			list = append(list, string(r.Reason))
		}
	}
	return list
}

// each reads a list with something in it, whose members are all different.
func each[T comparable](r *reader, n *yaml.Node, what, key, want string, to *[]T, read func(string) (T, bool)) {
	if n == nil {
		return
	}
	items := yamlfile.Items(n, what+": "+key, r.problems)
	if n.Kind == yaml.SequenceNode && len(items) == 0 {
		do := "name " + want
		if key != "accounts" { // the others may be left out
			do = "take it out, or " + do
		}
		r.problems.Add(n, "%s: %s is empty: %s", what, key, do)
	}
	for _, item := range items {
		before := len(*r.problems)
		text := yamlfile.Text(item, what+": a member of "+key, r.problems)
		if len(*r.problems) > before {
			continue
		}
		v, ok := read(text)
		switch {
		case !ok:
			r.problems.Add(item, "%s: %s has %s, want %s%s", what, key, yamlfile.Quote(text), want, meant(text))
		case slices.Contains(*to, v):
			r.problems.Add(item, "%s: %s has %s twice: keep one", what, key, yamlfile.Quote(text))
		default:
			*to = append(*to, v)
		}
	}
}

// network is a network as it is written, without bits set beyond its length. CloudTrail writes no
// IPv4 address as an IPv6 one, so a network of those would never match.
func network(s string) (netip.Prefix, bool) {
	n, err := netip.ParsePrefix(s)
	return n, err == nil && n == n.Masked() && !n.Addr().Is4In6()
}

// meant is how a network is written, if a value is nearly one.
func meant(s string) string {
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" && !address.Is4In6() {
		return fmt.Sprintf(": the one address is %s", netip.PrefixFrom(address, address.BitLen()))
	}
	if n, err := netip.ParsePrefix(s); err == nil && n != n.Masked() {
		return fmt.Sprintf(": the network that it is in is %s", n.Masked())
	}
	return ""
}

// note is a text for people that may be left out.
func (r *reader) note(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	text := yamlfile.Text(n, what, r.problems)
	if len(text) > maxText {
		r.problems.Add(n, "%s has %d bytes, %d at most", what, len(text), maxText)
	}
	return text
}

// span reads the times. An entry that does not say when it begins begins [MaxLength] before it
// ends.
func (r *reader) span(e *Entry, n *yaml.Node, given map[string]*yaml.Node, what string) {
	if given["until"] == nil {
		r.problems.Add(n, "%s: until is missing: every entry must end, %d days at most after it begins", what, MaxLength/(24*time.Hour))
		return
	}
	before := len(*r.problems)
	e.Until = r.moment(given["until"], what+": until")
	e.From = e.Until.Add(-MaxLength)
	limit, after := r.now.Add(MaxLength), "from now on"
	if given["from"] != nil {
		e.From = r.moment(given["from"], what+": from")
		limit, after = e.From.Add(MaxLength), "after from"
	}
	if len(*r.problems) > before {
		return
	}
	switch {
	case !e.Until.After(e.From):
		r.problems.Add(given["until"], "%s: until %s is not after from %s: exchange or correct them", what, e.Until.Format(time.RFC3339), e.From.Format(time.RFC3339))
	case e.Until.After(limit):
		r.problems.Add(given["until"], "%s: until is more than %d days %s: end it at %s or before, and renew it then", what,
			MaxLength/(24*time.Hour), after, limit.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
}

// moment reads a time; if it is none, that is a problem.
func (r *reader) moment(n *yaml.Node, what string) time.Time {
	at, err := time.Parse(time.RFC3339, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		r.problems.Add(n, "%s is %s, want a time with its zone, such as 2026-12-01T08:00:00Z", what, yamlfile.Kind(n))
	}
	return at.UTC()
}
