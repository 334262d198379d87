package envelope

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAStringIsReadAsEncodingJSONReadsIt(t *testing.T) {
	tests := []struct{ name, value string }{
		{"empty", `""`},
		{"plain", `"plain"`},
		{"all short escapes", `"\"\\\/\b\f\n\r\t"`},
		{"an event", quote(rootEvent)},
		{"an event, twice quoted", quote(quote(rootEvent))},
		{"a backslash at the end", `"a\\"`},
		{"a letter by its number", `"\u0041\u00e9"`},
		{"a pair of surrogates", `"\ud83d\udd11"`},
		{"half a pair", `"a\ud83d b"`},
		{"a zero byte", `"\u0000"`},
		{"letters of all sizes", `"aé漢🗝"`},
		{"invalid UTF-8", "\"a\xffb\xc3\""},
		{"invalid UTF-8 and escapes", "\"\\\"\xe6\\n\xbc\xa2\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want string
			if err := json.Unmarshal([]byte(tt.value), &want); err != nil {
				t.Fatal(err)
			}
			got, ok := appendText([]byte("before "), []byte(tt.value))
			if !ok || string(got) != "before "+want {
				t.Errorf("got %q, %v; want %q", got, ok, "before "+want)
			}
		})
	}
	for _, other := range []string{"null", "1", "{}", `["a"]`, "true"} {
		if got, ok := appendText(nil, []byte(other)); ok {
			t.Errorf("%s is read as the string %q", other, got)
		}
	}
}

// Events in strings share memory: none may see another's.
func TestEventsInStringsDoNotMix(t *testing.T) {
	long := withID(strings.Replace(rootEvent, "aws-cli/2", strings.Repeat("long", 500), 1), "long")
	b := read(t, Config{}, logged(long, rootEvent, userEvent, long[:100], withID(rootEvent, "last")))
	if got := b.counts; got["root"] != 3 || got["not_root"] != 1 || got["undecodable"] != 1 {
		t.Fatalf("results %v", got)
	}
	for i, want := range []string{"long", "root-1", "last"} {
		if e := b.roots[i]; e.EventID.Value != want || e.EventName.Value != "CreateUser" {
			t.Errorf("event %d is %q %q, want %q", i, e.EventID.Value, e.EventName.Value, want)
		}
	}
}

func FuzzAString(f *testing.F) {
	for _, s := range []string{`""`, `"a\"b"`, `"\u0041"`, `"\ud83d\udd11"`, "\"\xff\"", `"\\"`, `"a`, `7`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		w := walker{data: value}
		v, err := w.value()
		if err != nil {
			return
		}
		want, err := text(v)
		got, ok := appendText(nil, v)
		if ok != (err == nil) || string(got) != want {
			t.Errorf("%q is read as %q, %v; want %q, %v", v, got, ok, want, err)
		}
	})
}
