package plain

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		name, s string
		n       int
		want    string
	}{
		{"short", "abc", 5, "abc"},
		{"as long as may be", "abcde", 5, "abcde"},
		{"longer: the mark is part of the length", "abcdef", 5, "ab…"},
		{"not within a character", "aé…中x", 8, "aé…"},
		{"no room for anything but the mark", "abcdef", 3, "…"},
		{"no room for the mark", "abcdef", 2, ""},
		{"a negative length", "abc", -1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Cut(tt.s, tt.n); got != tt.want {
				t.Errorf("Cut(%q, %d) = %q, want %q", tt.s, tt.n, got, tt.want)
			}
		})
	}
}

func TestVisible(t *testing.T) {
	for _, tt := range []struct{ name, s, want string }{
		{"ASCII", `a "b" \c|d`, `a "b" \c|d`},
		{"letters of other scripts", "Zürich 東京", "Zürich 東京"},
		{"a line break", "a\nb\r", `a\nb\r`},
		{"a terminal's escape sequence", "\x1b[2J\x07", `\x1b[2J\a`},
		{"a right-to-left override", "\u202egnp", `\u202egnp`},
		{"a zero-width joiner", "a\u200db", `a\u200db`},
		{"an ideographic space, which looks like two blanks", "a\u3000b", `a\u3000b`},
		{"DEL and C1", "\x7f\u009b", `\x7f\u009b`},
		{"broken UTF-8", "a\xffb", `a\xffb`},
		{"the replacement character itself", "a\ufffdb", "a\ufffdb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Visible(tt.s); got != tt.want {
				t.Errorf("Visible(%q) = %s, want %s", tt.s, got, tt.want)
			}
		})
	}
	if got, want := VisibleExcept("a|b`c\n", "|`"), `a\x7cb\x60c\n`; got != want {
		t.Errorf("VisibleExcept = %s, want %s", got, want)
	}
}

func TestShown(t *testing.T) {
	for _, tt := range []struct {
		name, s string
		n       int
		want    string
	}{
		{"a name", "iam.amazonaws.com", 100, "iam.amazonaws.com"},
		{"an IPv6 address", "2001:db8::1", 100, "2001:db8::1"},
		{"nothing", "", 100, `""`},
		{"a blank", "AWS Internal", 100, `"AWS Internal"`},
		{"a sentence of its own", `x" called nothing`, 100, `"x\" called nothing"`},
		{"too long", strings.Repeat("a", 12), 10, `"aaaaaaa…"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Shown(tt.s, tt.n); got != tt.want {
				t.Errorf("Shown(%q, %d) = %s, want %s", tt.s, tt.n, got, tt.want)
			}
		})
	}
}

func TestBegins(t *testing.T) {
	if got, want := Begins([]byte("a\"\xff\u202ebcdef"), 7), `"a\"\xff\u202eb"`; got != want {
		t.Errorf("Begins = %s, want %s", got, want)
	}
	if got := Begins([]byte("ab"), 100); got != `"ab"` {
		t.Errorf("Begins = %s", got)
	}
}

func TestVisibleJSON(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing to do", "{\"a\":\"é 世界 \\n\"}\n", "{\"a\":\"é 世界 \\n\"}\n"},
		{"delete, C1, a change of direction", "\"\x7f\u009b\u202e\"\n", `"\u007f\u009b\u202e"` + "\n"},
		{"blanks that are none, private and unassigned characters", "\"\u00a0\u3000\ue000\u0378\"", `"\u00a0\u3000\ue000\u0378"`},
		{"beyond the first plane", "\"\U000e0001x\"", `"\udb40\udc01x"`},
		{"broken UTF-8", "\"a\xffb\"", `"a\ufffdb"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(VisibleJSON([]byte(tt.text))); got != tt.want {
				t.Errorf("VisibleJSON(%q) = %s, want %s", tt.text, got, tt.want)
			}
		})
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"", "abc", "a\x00b", "\xff\xfe", "\u202e", "é\u0301", "\U0001f600", strings.Repeat("中", 50), "\xf0\x9f", "\U000e0001"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		n %= 200
		cut := Cut(s, n)
		if len(cut) > max(n, 0) || utf8.ValidString(s) && !utf8.ValidString(cut) {
			t.Errorf("Cut(%q, %d) = %q", s, n, cut)
		}
		written, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if json.Unmarshal(written, &before) != nil || json.Unmarshal(VisibleJSON(written), &after) != nil || before != after {
			t.Errorf("%q, made visible, says %q", before, after)
		}
		for name, text := range map[string]string{
			"written": string(VisibleJSON(written)), "visible": Visible(s), "except": VisibleExcept(s, "|`"), "shown": Shown(s, n), "begins": Begins([]byte(s), n), "json": string(AppendJSON(nil, s)),
		} {
			if !utf8.ValidString(text) {
				t.Errorf("%s of %q is not valid UTF-8: %q", name, s, text)
			}
			for i, r := range text {
				if !IsVisible(r, utf8.RuneLen(r)) {
					t.Errorf("%s of %q shows an invisible character at %d: %q", name, s, i, text)
				}
			}
		}
		if text := VisibleExcept(s, "|`"); strings.ContainsAny(text, "|`") {
			t.Errorf("%q stands in %q", "|`", text)
		}
		var back string
		if err := json.Unmarshal(AppendJSON(nil, s), &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q comes back from JSON as %q: %v", s, back, err)
		}
		if bytes, err := strconv.Unquote(Begins([]byte(s), n)); err != nil || !strings.HasPrefix(s, bytes) {
			t.Errorf("Begins(%q, %d) is not its beginning: %v", s, n, err)
		}
	})
}
