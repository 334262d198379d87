package classify

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// emptyValue is [EmptyValue] of a decoded value.
func emptyValue(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		for _, e := range v {
			if !emptyValue(e) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, e := range v {
			if !emptyValue(e) {
				return false
			}
		}
		return true
	}
	return false
}

// readings are the types that read their members by readMembers, beside the same types read by
// encoding/json. The members' own types are the same in both: each has its own line.
var readings = []struct {
	name         string
	value, plain func() any
}{
	{"addendum", fresh[Addendum], func() any {
		type plain Addendum
		return new(plain)
	}},
	{"additional event data", fresh[AdditionalEventData], func() any {
		type plain AdditionalEventData
		return new(plain)
	}},
	{"request parameters", fresh[RequestParameters], func() any {
		type plain RequestParameters
		return new(plain)
	}},
	{"public access block", fresh[PublicAccessBlock], func() any {
		type plain PublicAccessBlock
		return new(plain)
	}},
	{"session context", fresh[SessionContext], func() any {
		type plain SessionContext
		return new(plain)
	}},
	{"session issuer", fresh[SessionIssuer], func() any {
		type plain SessionIssuer
		return new(plain)
	}},
	{"session attributes", fresh[SessionAttributes], func() any {
		type plain SessionAttributes
		return new(plain)
	}},
}

func fresh[T any]() any { return new(T) }

// decodedText is what [Text] reads of a valid value, by encoding/json alone.
func decodedText(value []byte) Text {
	var s *string
	if err := json.Unmarshal(value, &s); err == nil && s == nil {
		return Text{}
	} else if err == nil {
		return Text{Value: *s, Present: true}
	}
	var buf bytes.Buffer
	if json.Compact(&buf, value) != nil {
		panic("not valid")
	}
	return Text{Value: buf.String(), Present: true, Odd: true}
}

// checkValue holds everything that walks over a JSON text to encoding/json.
func checkValue(t *testing.T, value []byte) {
	t.Helper()
	var decoded any
	if json.Unmarshal(value, &decoded) != nil {
		return
	}
	if got, want := EmptyValue(value), emptyValue(decoded); got != want {
		t.Fatalf("EmptyValue = %v, want %v: %q", got, want, value)
	}
	var text Text
	if err := text.UnmarshalJSON(value); err != nil || text != decodedText(value) {
		t.Fatalf("text %+v, error %v, want %+v: %q", text, err, decodedText(value), value)
	}
	if got, want := text.Empty(), emptyValue(decoded); got != want {
		t.Fatalf("Empty = %v, want %v: %q", got, want, value)
	}
	for _, r := range readings {
		got, want := r.value(), r.plain()
		if err := json.Unmarshal(value, got); err != nil {
			t.Fatalf("%s: %v: %q", r.name, err, value)
		}
		if bytes.HasPrefix(bytes.TrimSpace(value), []byte("{")) {
			if err := json.Unmarshal(value, want); err != nil {
				t.Fatalf("%s by encoding/json: %v: %q", r.name, err, value)
			}
		}
		raw := reflect.ValueOf(want).Elem().FieldByName("Raw")
		if raw.IsValid() {
			raw.Set(reflect.ValueOf(text))
		}
		was := reflect.ValueOf(want).Elem().Convert(reflect.TypeOf(got).Elem())
		if !reflect.DeepEqual(reflect.ValueOf(got).Elem().Interface(), was.Interface()) {
			t.Fatalf("%s: %+v, want %+v: %q", r.name, got, want, value)
		}
	}
	var got, want ResponseElements
	if err := json.Unmarshal(value, &got); err != nil {
		t.Fatalf("response elements: %v: %q", err, value)
	}
	var texts map[string]Text
	if json.Unmarshal(value, &texts) != nil {
		texts = nil // not an object
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if word := texts[name]; word.name() == "success" || word.name() == "failure" {
			want = append(want, word)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("response elements %v, want %v: %q", got, want, value)
	}
}

// values are JSON texts that say something, and that do not, in ways that a walk may confuse.
var values = []string{
	`null`, ` null `, `""`, `"x"`, `" "`, `"\""`, `"\\"`, `"\u0000"`, "\"\xff\"", `0`, `-1.5e3`, `false`, `true`, `{}`, `[]`, ` { } `, ` [ ] `,
	`[[],{},"",null]`, `[[],{},"",0]`, `[[[]],[[""]],[["x"]]]`, `{"a":{"b":[{"c":null}]}}`, `{"a":{"b":[{"c":false}]}}`,
	`{"":""}`, `{"a":"" , "b" : [ ] }`, `{"a" :"x"}`, `{"a":"x","b":""}`, `["a" ,"" ]`, `{"a:b":"","\":":[]}`, `{"\"":"","\\":null}`,
	`{"a":1,"a":null}`, `{"a":null,"a":1}`, `{"a":1,"A":null}`, `{"a":1,"\u0061":null}`, "{\"\xff\":1,\"\xfe\":null}", `{"a":{"b":1},"a":{}}`, `{"a":{"b":1,"b":[]}}`,
	`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"f":"","e":"","d":"","c":"","b":"","a":""}`, `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"a":"","b":"","a":1,"c":"","d":"","e":"","f":"","a":{}}`,
	`{"a":1,"b":1,"c":1,"d":1,"e":1,"a":"","e":1,"e":"","b":"","c":"","d":""}`, `[{"a":1,"a":null},[{"b":2,"b":""}]]`, `[{"a":1,"a":null},1,{}]`, `[1,{"a":[]},"]"]`,
	`{"reason":"UPDATED_DATA","ORIGINALEVENTID":"x","Reason":null}`, `{"rea\u017fon":"x","\u0072eason":"y"}`, "{\"rea\u017fon\":\"x\",\"\u212aey\":1}", `{"reason":{ "a" : [ 1 , " \" , " ] }}`,
	`{"type":"Root","arn":["x"],"type":""}`, `{"sessionIssuer":{"type":"Root"},"SESSIONISSUER":{"arn":"x"},"attributes":[],"attributes":{"creationDate":"2026","mfaAuthenticated":false}}`,
	`{"PublicAccessBlockConfiguration":{"BlockPublicAcls":true},"publicaccessblockconfiguration":{"IgnorePublicAcls":"false"},"userName":7}`,
	`{"ConsoleLogin":"Success"}`, `{"b":"failure","a":" SUCCESS\n","c":"Succes\u017f","a":1}`, `{"b":"Failure","\u0062":"success","a":"success","a":null,"c":["success"]}`,
}

func TestValuesAreReadAsByEncodingJSON(t *testing.T) {
	for _, value := range values {
		checkValue(t, []byte(value))
		checkValue(t, []byte(`{"a":`+value+`,"sessionIssuer":`+value+`,"reason":`+value+`}`))
		checkValue(t, []byte(`[[],`+value+"]\n"))
	}
	for _, value := range []string{
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
		strings.Repeat("[", maxDepth-1) + "7" + strings.Repeat("]", maxDepth-1),
		strings.Repeat(`{"a":1,"a":`, maxDepth-1) + `""` + strings.Repeat("}", maxDepth-1),
		strings.Repeat(`{"a":1,"a":[`, maxDepth/2) + strings.Repeat("]}", maxDepth/2),
	} {
		checkValue(t, []byte(value))
	}
}

func FuzzValue(f *testing.F) {
	for _, value := range values {
		f.Add([]byte(value))
	}
	f.Fuzz(checkValue)
}

func TestEmptinessTakesNoMemory(t *testing.T) {
	for name, value := range map[string]string{
		"a session":     `{"attributes":{"creationDate":"2026-01-01T00:00:00Z","mfaAuthenticated":"true"},"sessionIssuer":{"type":"Root"}}`,
		"empty objects": `{` + strings.Repeat(`"a":{},`, 10_000) + `"b":[]}`,
		"empty lists":   `[` + strings.Repeat(`[],`, 10_000) + `[]]`,
		"deep lists":    strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		"overwritten":   `{` + strings.Repeat(`"a":1,"a":"",`, 10_000) + `"b":[]}`,
	} {
		text := Text{Value: value, Present: true, Odd: true}
		if allocs := testing.AllocsPerRun(10, func() { text.Empty() }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
