package scan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"rootwatch/pipeline/scan/scantest"
)

// wrap puts a record into EventBridge's envelope.
func wrap(record string) string {
	return `{"version":"0","detail-type":"AWS API Call via CloudTrail","source":"aws.ec2","detail":` + record + `}`
}

const (
	byUser     = `{"eventSource":"ec2.amazonaws.com","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/a"},"eventName":"RunInstances"}`
	byRootUser = `{"eventSource":"ec2.amazonaws.com","userIdentity":{"type":"Root","arn":"arn:aws:iam::123456789012:root"},"eventName":"RunInstances"}`
	// callOf takes a userIdentity; withMember takes a member, or several, of a record.
	callOf     = `{"eventSource":"s3.amazonaws.com","eventName":"GetObject","userIdentity":`
	withMember = `{"eventSource":"s3.amazonaws.com","eventName":"GetObject","userIdentity":{"type":"AssumedRole"},`
)

var verdicts = []struct {
	name string
	data string
	want Verdict
}{
	{"a bare event by a user", byUser, NotRoot},
	{"an envelope with an event by a user", wrap(byUser), NotRoot},
	{"white space everywhere", " \t\r\n{ \"eventSource\" : \"a\" ,\n\"eventName\"\t:\r\"b\", \"userIdentity\" : { \"type\" : \"IAMUser\" } } ", NotRoot},
	{"an envelope around very little", wrap(`{"userIdentity":{"type":"Role"}}`), NotRoot},
	{"the source behind the detail", `{"detail":` + byUser + `,"detail-type":"Some New Thing via CloudTrail","source":"aws.x"}`, NotRoot},
	{"every kind of value in other members", withMember + `"a":[1,-2.5e+10,0,1E5,0.1,true,false,null,"",{},[],{"b":{}}]}`, NotRoot},
	{"Root inside a string", withMember + `"note":"\"userIdentity\":{\"type\":\"Root\"}"}`, NotRoot},
	{"Root in another object", withMember + `"requestParameters":{"userIdentity":{"type":"Root"},"type":"Root","detail-type":"x"}}`, NotRoot},
	{"Root as the session's issuer of a role", callOf + `{"type":"AssumedRole","sessionContext":{"sessionIssuer":{"type":"Root"}}}}`, NotRoot},
	{"the ARN of a root under a role", callOf + `{"type":"AssumedRole","arn":"arn:aws:iam::123456789012:root"}}`, NotRoot},
	{"userIdentity inside an identity", callOf + `{"type":"AWSService","userIdentity":{"type":"Root"}}}`, NotRoot},
	{"a type in the detail itself", wrap(`{"type":"Root","userIdentity":{"type":"AWSService"}}`), NotRoot},
	{"escapes and invalid UTF-8 where nobody looks", withMember + "\"a\":{\"k\\u0065y\":\"\xff\xc3(\\ud800\\n\",\"\xff\":1}}", NotRoot},
	{"members with names that are nearly watched", withMember + `"eventTime":1,"eventType":2,"userAgent":3,"sourceIPAddress":4,"details":5,"recordsX":6,"typ":7}`, NotRoot},
	{"64 levels", withMember + `"a":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, NotRoot},

	{"65 levels", withMember + `"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, Unsure},
	{"root, bare", byRootUser, Unsure},
	{"root in an envelope", wrap(byRootUser), Unsure},
	{"type unknown", callOf + `{"type":"Unknown"}}`, Unsure},
	{"type of a federated user", callOf + `{"type":"FederatedUser"}}`, Unsure},
	{"type never heard of", callOf + `{"type":"` + strings.Repeat("SomethingNew", 10) + `"}}`, Unsure},
	{"type empty", callOf + `{"type":""}}`, Unsure},
	{"type null", callOf + `{"type":null}}`, Unsure},
	{"type a number", callOf + `{"type":7}}`, Unsure},
	{"type an object", callOf + `{"type":{"type":"IAMUser"}}}`, Unsure},
	{"type a list", callOf + `{"type":["IAMUser"]}}`, Unsure},
	{"no type", callOf + `{"arn":"arn:aws:iam::123456789012:root"}}`, Unsure},
	{"type with an escape", callOf + `{"type":"\u0052oot"}}`, Unsure},
	{"a user's type with an escape", callOf + `{"type":"IAM\u0055ser"}}`, Unsure},
	{"type in another case", callOf + `{"type":"iamuser"}}`, Unsure},
	{"type twice", callOf + `{"type":"IAMUser","type":"Root"}}`, Unsure},
	{"type twice, the second in another case", callOf + `{"type":"IAMUser","Type":"Root"}}`, Unsure},
	{"type twice, the second escaped", callOf + `{"type":"IAMUser","\u0074ype":"Root"}}`, Unsure},
	{"userIdentity twice", withMember + `"userIdentity":{"type":"Root"}}`, Unsure},
	{"userIdentity twice, the second without a type", withMember + `"userIdentity":{}}`, Unsure},
	{"userIdentity twice, the second null", withMember + `"userIdentity":null}`, Unsure},
	{"userIdentity twice, the second in another case", withMember + `"useridentity":{"type":"Root"}}`, Unsure},
	{"userIdentity twice, the second escaped", withMember + `"userIdentit\u0079":{"type":"Root"}}`, Unsure},
	{"userIdentity in the detail twice", wrap(`{"userIdentity":{"type":"IAMUser"},"UserIdentity":{"type":"Root"}}`), Unsure},
	{"userIdentity a string", callOf + `"IAMUser"}`, Unsure},
	{"userIdentity null", callOf + `null}`, Unsure},
	{"userIdentity a list", callOf + `[{"type":"IAMUser"}]}`, Unsure},
	{"no userIdentity", `{"eventSource":"a","eventName":"b"}`, Unsure},
	{"an identity without a member", callOf + `{}}`, Unsure},
	{"an identity without a member, in an envelope", wrap(callOf + `{}}`), Unsure},
	{"an identity of empty members", callOf + `{"type":"","arn":null}}`, Unsure},
	{"a service event without userIdentity", `{"eventSource":"a","eventName":"b","eventType":"AwsServiceEvent"}`, Unsure},
	{"an insight", `{"eventCategory":"Insight","eventType":"AwsCloudTrailInsight"}`, Unsure},
	{"an aggregated event", `{"eventSource":"s3.amazonaws.com","eventCategory":"Aggregated","eventType":"AwsAggregatedEvent"}`, Unsure},
	{"a notification of S3's", `{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"a notification's source with an escape", `{"eventSource":"aws\u003as3","eventName":"ObjectCreated:Put","userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"a source that begins nearly as a notification's", `{"eventSource":"aws.s3","eventName":"x","userIdentity":{"type":"IAMUser"}}`, NotRoot},
	{"an envelope without userIdentity", wrap(`{"eventSource":"a","eventName":"b"}`), Unsure},
	{"userIdentity beside the detail alone", `{"detail-type":"x via CloudTrail","source":"aws.x","detail":{},"userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"userIdentity beside and inside the detail", `{"userIdentity":{"type":"IAMUser"},` + wrap(byUser)[1:], Unsure},
	{"eventSource beside the detail", `{"eventSource":"x",` + wrap(byUser)[1:], Unsure},
	{"detail twice", `{"detail":{},` + wrap(byUser)[1:], Unsure},
	{"detail twice, the second in another case", wrap(byUser + `,"Detail":` + byRootUser), Unsure},
	{"detail a string", wrap(`"x"`), Unsure},
	{"detail in a bare event", withMember + `"detail":{}}`, Unsure},
	{"source in a bare event", withMember + `"source":"aws.x"}`, Unsure},
	{"long s in source", withMember + `"ſource":"aws.x"}`, Unsure},
	{"Kelvin sign in a name", withMember + "\"\u212a\":1}", Unsure},
	{"long s in eventSource, bare", `{"eventſource":"x",` + byUser[1:], Unsure},
	{"a foreign source", `{"detail-type":"x via CloudTrail","source":"com.example","detail":` + byUser + `}`, Unsure},
	{"nothing behind aws.", `{"detail-type":"x via CloudTrail","source":"aws.","detail":` + byUser + `}`, Unsure},
	{"a partner's source", `{"detail-type":"x via CloudTrail","source":"aws.partner/evil.example/x","detail":` + byUser + `}`, Unsure},
	{"a partner's source without a name", `{"detail-type":"x via CloudTrail","source":"aws.partner","detail":` + byUser + `}`, Unsure},
	{"a service whose name begins like a partner's source", `{"detail-type":"x via CloudTrail","source":"aws.partnercentral-selling","detail":` + byUser + `}`, NotRoot},
	{"a space behind aws.", `{"detail-type":"x via CloudTrail","source":"aws. evil","detail":` + byUser + `}`, Unsure},
	{"capitals behind aws.", `{"detail-type":"x via CloudTrail","source":"aws.Evil","detail":` + byUser + `}`, Unsure},
	{"no source", `{"detail-type":"x via CloudTrail","detail":` + byUser + `}`, Unsure},
	{"source null", `{"detail-type":"x via CloudTrail","source":null,"detail":` + byUser + `}`, Unsure},
	{"source with an escape", `{"detail-type":"x via CloudTrail","source":"aws\u002ex","detail":` + byUser + `}`, Unsure},
	{"another detail-type", `{"detail-type":"Scheduled Event","source":"aws.events","detail":` + byUser + `}`, Unsure},
	{"detail-type a list", `{"detail-type":["x via CloudTrail"],"source":"aws.x","detail":` + byUser + `}`, Unsure},
	{"detail-type with an escape", `{"detail-type":"x via\u0020CloudTrail","source":"aws.x","detail":` + byUser + `}`, Unsure},
	{"detail-type in another case", `{"detail-type":"x via CloudTrail","Detail-Type":"y","source":"aws.x","detail":` + byUser + `}`, Unsure},
	{"eventName a number", `{"eventSource":"a","eventName":1,"userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"eventName an object", `{"eventSource":"a","eventName":{},"userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"eventName with an escape", `{"eventSource":"a","eventName":"\u0062","userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"eventSource an object", `{"eventSource":{},"eventName":"b","userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"source an object", `{"detail-type":"x via CloudTrail","source":{"userIdentity":{"type":"IAMUser"}},"detail":{}}`, Unsure},
	{"source with an escape behind aws.", `{"detail-type":"x via CloudTrail","source":"aws.\u0065","detail":` + byUser + `}`, Unsure},
	{"eventName empty", `{"eventSource":"a","eventName":"","userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"no eventSource", `{"eventName":"b","userIdentity":{"type":"IAMUser"}}`, Unsure},
	{"a log file's list", `{"Records":[` + byUser + `]}`, Unsure},
	{"a list in a bare event", withMember + `"records":[` + byRootUser + `]}`, Unsure},
	{"log events in a bare event", withMember + `"logEvents":[]}`, Unsure},
	{"a message type in an envelope", `{"messageType":"DATA_MESSAGE",` + wrap(byUser)[1:], Unsure},
	{"events of a look-up in a bare event", withMember + `"EVENTS":[]}`, Unsure},
	{"one event of a look-up in a bare event", withMember + `"CloudTrailEvent":"{}"}`, Unsure},
	{"a list of events", `[` + byUser + `]`, Unsure},
	{"an event in a string", `"{}"`, Unsure},
	{"a number", ` 12 `, Unsure},
	{"a literal", `null`, Unsure},
	{"an empty object", `{ }`, Unsure},
	{"as deep as encoding/json goes", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), Unsure},
	{"as deep as encoding/json goes, by turns", strings.Repeat(`{"a":[`, 5000) + strings.Repeat(`],"b":0}`, 5000), Unsure},
	{"a hundred objects in an event", withMember + strings.Repeat(`"a":{`, 100) + strings.Repeat(`},"b":0`, 100) + `}`, Unsure},
	{"63 objects in an event", withMember + strings.Repeat(`"a":{`, 63) + strings.Repeat(`},"b":0`, 63) + `}`, NotRoot},
	{"as deep as encoding/json goes, inside a bare identity", deepIdentity(10_000), Unsure},
	{"as deep as encoding/json goes, inside an envelope's identity", wrap(deepIdentity(9_999)), Unsure},

	{"deeper than encoding/json goes", strings.Repeat("[", 10_001), Invalid},
	{"deeper than encoding/json goes, inside a bare identity", deepIdentity(10_001), Invalid},
	{"deeper than encoding/json goes, inside an envelope's identity", wrap(deepIdentity(10_000)), Invalid},
	{"a comma too many", `{"a":1,}`, Invalid},
	{"a comma too many in a list", `[1,]`, Invalid},
	{"a comma too few", withMember[:len(withMember)-1] + `"a":1}`, Invalid},
	{"a colon too few", `{"a" 1}`, Invalid},
	{"a list closed as an object", `{"a":[1}`, Invalid},
	{"an object closed as a list, a hundred levels up", strings.Repeat(`{"a":`, 100) + "[" + strings.Repeat("]", 100), Invalid},
	{"an object closed as a list", `[{"a":1]`, Invalid},
	{"a name that is no string", `{1:2}`, Invalid},
	{"a control character in a string", "{\"a\":\"x\x1fy\"}", Invalid},
	{"a control character in a name", "{\"a\x00\":1}", Invalid},
	{"an unknown escape", `{"a":"\x"}`, Invalid},
	{"a bad hexadecimal digit", `{"a":"\u00g0"}`, Invalid},
	{"a number with a leading zero in a list", `[01]`, Invalid},
	{"a number with a plus", `[+1]`, Invalid},
	{"a number that ends in its point", `[1.]`, Invalid},
	{"a number that begins with its point", `[.5]`, Invalid},
	{"an exponent without digits", `[1e+]`, Invalid},
	{"a minus alone", `[-]`, Invalid},
	{"a misspelt literal", `[nul]`, Invalid},
	{"a literal in another case", `[True]`, Invalid},
	{"a byte order mark", "\xef\xbb\xbf{}", Invalid},
	{"white space that is not JSON's", "\f{}", Invalid},
	{"a comment", `{/**/}`, Invalid},

	{"nothing", "", Incomplete},
	{"white space alone", " \n ", Incomplete},
	{"half a literal", "tru", Incomplete},
	{"half an escape", `"\u12`, Incomplete},
	{"half a number", `-`, Incomplete},
	{"half an exponent", `1e`, Incomplete},
	{"half an event", byUser[:len(byUser)/2], Incomplete},
}

// deepIdentity is a bare event that has levels levels.
func deepIdentity(levels int) string {
	return callOf + `{"type":"IAMUser","a":` + strings.Repeat("[", levels-2) + strings.Repeat("]", levels-2) + `}}`
}

func TestVerdicts(t *testing.T) {
	for _, tt := range verdicts {
		t.Run(tt.name, func(t *testing.T) {
			if _, v := Next([]byte(tt.data)); v != tt.want {
				t.Errorf("Next = %v, want %v: %.300s", v, tt.want, tt.data)
			}
			check(t, []byte(tt.data))
		})
	}
}

func TestEveryPrefixOfAnEventIsIncomplete(t *testing.T) {
	event := []byte(" " + wrap(withMember+`"a":[-1.5e-3,true,false,null,"\u00e9\n\\"]}`))
	for cut := range event {
		if n, v := Next(event[:cut:cut]); n != 0 || v != Incomplete {
			t.Fatalf("Next = %d, %v, want incomplete: %s", n, v, event[:cut])
		}
	}
	if n, v := Next(event); n != len(event) || v != NotRoot {
		t.Fatalf("Next = %d, %v for the whole event of %d bytes", n, v, len(event))
	}
}

// Each byte value at each place of a short event: the eighths of a word and the ends of the data
// come all by.
func TestEveryByteAtEveryPlace(t *testing.T) {
	event := []byte(wrap(`{"userIdentity":{"type":"Role","a":"é\n1234567890"},"b":[10,true]}`))
	for at := range event {
		mutant := bytes.Clone(event)
		for c := range 256 {
			mutant[at] = byte(c)
			check(t, mutant)
		}
	}
}

// A special byte at each place of a string, and the string at each distance from the end of the
// data.
func TestStringsOfAllLengths(t *testing.T) {
	for length := range 40 {
		for at := range length + 1 {
			for _, c := range []string{``, `\"`, `\\`, `\u0041`, "\x1f", " ", "!", "#", "\x7f", "\x80", "\xff"} {
				text := strings.Repeat("a", at) + c + strings.Repeat("b", length-at)
				check(t, []byte(`"`+text+`"`))
				check(t, []byte(`{"`+text+`":"`+text+`"}`))
				check(t, []byte(`["`+text+`",1]`))
			}
		}
	}
}

func TestOrdinaryTrafficIsNotRoot(t *testing.T) {
	g := scantest.New(3)
	samples := g.Workload(3000)
	for range 1000 {
		samples = append(samples, scantest.Sample{Data: g.Bare(scantest.Ordinary)},
			scantest.Sample{Data: g.Bare(scantest.Decoy), Kind: scantest.Decoy},
			scantest.Sample{Data: g.Bare(scantest.Escaped), Kind: scantest.Escaped},
			scantest.Sample{Data: g.Bare(scantest.Root), Kind: scantest.Root})
	}
	for _, s := range samples {
		n, v := Next(s.Data)
		switch s.Kind {
		case scantest.Ordinary, scantest.Decoy:
			if n != len(s.Data) || v != NotRoot {
				t.Fatalf("Next = %d, %v, want not root: %s", n, v, s.Data)
			}
		case scantest.Root, scantest.Escaped:
			if root, err := byRoot(s.Data); !root || err != nil {
				t.Fatalf("the generator's root call is none: %v: %s", err, s.Data)
			}
			if n != len(s.Data) || v != Unsure {
				t.Fatalf("Next = %d, %v, want unsure: %s", n, v, s.Data)
			}
		case scantest.Malformed:
			if n != 0 || v != Invalid && v != Incomplete {
				t.Fatalf("Next = %d, %v, want invalid: %s", n, v, s.Data)
			}
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	inputs := map[string][]byte{
		"a type of many bytes": []byte(callOf + `{"type":"` + strings.Repeat("x", 500) + `"}}`),
		"a deep value":         []byte(strings.Repeat("[", 9000)),
		"a name in other case": []byte(`{"EVENTSOURCE":1,"DETAIL-TYPE":2,"CLOUDTRAILEVENT":3}`),
	}
	for kind, name := range []string{"ordinary", "decoy", "root", "escaped", "malformed"} {
		inputs[name] = scantest.New(4).Envelope(scantest.Kind(kind))
	}
	for name, data := range inputs {
		if allocs := testing.AllocsPerRun(100, func() { Next(data) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

func TestVerdictsAreNamed(t *testing.T) {
	names := map[string]bool{}
	for v := Unsure; v <= Invalid; v++ {
		names[v.String()] = true
	}
	if len(names) != 4 || names["unknown"] || Verdict(99).String() != "unknown" {
		t.Errorf("names = %v", names)
	}
}

// The table's own JSON is what its name says.
func TestTableIsAsValidAsItSays(t *testing.T) {
	for _, tt := range verdicts {
		if valid := json.Valid([]byte(tt.data)); valid != (tt.want == NotRoot || tt.want == Unsure) {
			t.Errorf("%s: valid = %v, want %v", tt.name, valid, tt.want)
		}
	}
}
