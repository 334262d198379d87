package envelope

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rootwatch/pipeline/scan/scantest"
)

// agree fails if the scanner changes what a record counts as, or the root calls in it.
func agree(t *testing.T, data []byte) {
	t.Helper()
	for _, inFile := range []bool{false, true} {
		with, without := New(Config{}.orDefault()), New(Config{}.orDefault())
		without.exhaustive = true
		got, want := readBy(t, with, data, inFile), readBy(t, without, data, inFile)
		if diff := cmp.Diff(want.counts, got.counts); diff != "" {
			t.Errorf("the scanner changes the counts (-without +with):\n%s\n%.500q", diff, data)
		}
		if diff := cmp.Diff(want.roots, got.roots); diff != "" {
			t.Errorf("the scanner changes the root calls (-without +with):\n%s\n%.500q", diff, data)
		}
	}
}

func TestTheScannerChangesNoResult(t *testing.T) {
	g := scantest.New(3)
	var events []string
	for _, s := range g.Workload(400) {
		agree(t, s.Data)
		agree(t, append(s.Data, " \n\t\r "...))
		agree(t, append(s.Data, " {}"...))
	}
	for i := range 60 {
		kind := scantest.Ordinary
		switch i % 10 {
		case 3:
			kind = scantest.Root
		case 5:
			kind = scantest.Escaped
		case 7:
			kind = scantest.Decoy
		}
		events = append(events, string(g.Bare(kind)))
	}
	file := inFile(events...)
	for _, document := range []string{
		file, logged(events...), lookedUp(events...), strings.ReplaceAll(file, `"Records":[`, `"Records": [ `),
		`{"logEvents":[` + strings.Join(events, ",") + `]}`, `{"Events":[` + strings.Join(events, ",") + `]}`,
		`{"Records":[],` + file[1:], file[:len(file)-1] + `,"eventSource":"a","eventName":"b"}`,
	} {
		agree(t, []byte(document))
		agree(t, []byte(zipped(document)))
		for _, part := range []int{1, 2, 3, 5, 8} { // broken off
			agree(t, []byte(document[:len(document)*part/9]))
		}
	}
}

// An element that is whole counts, whatever breaks the list behind it.
func TestTheScannerChangesNoBrokenList(t *testing.T) {
	ends := []string{
		"01", "0", "-", "-0", "-x", "1.", "1.5", "1.x", "1e", "1e+5", "1e5x", "12true", "t", "tru", "true", "truex", "truefalse", "nullnull",
		`"a`, `"a"`, `"a"b`, `"a\`, "{}", "{}x", "{", "{]", "[}", "[]1", userEvent + "x", userEvent + userEvent, rootEvent + "x", rootEvent + rootEvent,
		"", " ", ",", ":", "}", "]", "\x00", "\xff", "nul", "nulL", "+1", ".5", "'a'",
	}
	for _, end := range ends {
		for _, list := range []string{`{"Records":[`, `{"Events":[`, `{"logEvents":[`, `{"messageType":`, `{"a":`, `[`, ``} {
			for _, element := range []string{"", "7,", userEvent + ",", rootEvent + ","} {
				agree(t, []byte(list+element+end))
				agree(t, []byte(list+element+end+" "))
				agree(t, []byte(list+element+end+"]}"))
			}
		}
	}
}

func FuzzTheScannerChangesNoResult(f *testing.F) {
	for _, s := range []string{
		rootEvent, userEvent, viaEventBridge(rootEvent), viaEventBridge(userEvent), logged(rootEvent, userEvent),
		lookedUp(rootEvent, userEvent), inFile(rootEvent, userEvent), inFile(viaEventBridge(rootEvent), viaEventBridge(userEvent)),
		strings.Replace(rootEvent, "Root", `\u0052oot`, 1), strings.Replace(rootEvent, `"type"`, `"Type"`, 1),
		strings.Replace(userEvent, `"type":"IAMUser"`, `"type":"IAMUser","type":"Root"`, 1), inFile(userEvent)[:60], userEvent + "\x00", "[]", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { agree(t, data) })
}
