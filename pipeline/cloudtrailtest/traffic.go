// Package cloudtrailtest makes believable CloudTrail traffic as EventBridge delivers it, and says
// of each record what it must count as: for the demo, for tests and for benchmarks. The traffic is
// that of a few accounts in which people and roles work, services call as root by themselves now
// and then, and root is used as nobody should.
//
// Accounts, addresses and keys are those that AWS and the IETF keep for documentation.
package cloudtrailtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"rootwatch/classify"
)

// Record is one record for the stream.
type Record struct {
	Data []byte
	// Kind names the scene that the record belongs to: "another identity", "root key", ...
	Kind string
	// Result is the `result` of rootwatch_events_total that it must end in.
	Result string
	// Verdict and Reason are set for root calls.
	Verdict classify.Verdict
	Reason  classify.Reason
}

// Traffic is a source of records; the same seed gives the same records, but for the times in them.
// It is for one goroutine.
type Traffic struct {
	random *rand.Rand
	now    func() time.Time
	serial int
	turn   int
	share  int
	repeat []Record // root calls to deliver a second time
	queue  []Record
}

// scene makes the next records of one kind.
type scene func(*Traffic) []Record

// notable are the scenes besides the ordinary, each as likely as the others.
var notable = []scene{
	autoScaling, rootKey, loadBalancer, consoleSession, heartbeat, failedSignIn, forged, forwarded, otherService, broken,
	cliSession, delayedCopy, autoScaling, assumedRoot, internal, signIn, loadBalancer, otherBusTraffic, heartbeat,
}

// opening is how many ordinary records stand before each notable one while all of these are shown
// once.
const opening = 10

// New returns traffic. now is the clock of the events; share is how many scenes in ten thousand are
// notable: root calls, or what else is worth looking at. Traffic opens with one of each, so that a
// short run shows all.
func New(seed uint64, share int, now func() time.Time) *Traffic {
	return &Traffic{random: rand.New(rand.NewPCG(seed, 0x726f6f74)), now: now, share: share}
}

// Next returns the next record.
func (t *Traffic) Next() Record {
	if len(t.queue) == 0 {
		t.queue = t.next()(t)
	}
	r := t.queue[0]
	t.queue = t.queue[1:]
	if r.Result == "root" && len(t.repeat) < 100 && (len(t.repeat) == 0 || t.random.IntN(8) == 0) {
		t.repeat = append(t.repeat, r)
	}
	return r
}

func (t *Traffic) next() scene {
	turn := t.turn
	t.turn++
	switch {
	case turn < opening*len(notable) && turn%opening == opening-1:
		return notable[turn/opening]
	case turn >= opening*len(notable) && t.random.IntN(10_000) < t.share:
		return pick(t, notable...)
	}
	return ordinary
}

func pick[T any](t *Traffic, of ...T) T { return of[t.random.IntN(len(of))] }

// Regions are those that the traffic's heartbeats come from.
var Regions = []string{"us-east-1", "eu-west-1"}

var accounts = []string{"111122223333", "444455556666", "123456789012", "777788889999"}

func (t *Traffic) account() string { return pick(t, accounts...) }

func (t *Traffic) address() string {
	return fmt.Sprintf("%s.%d", pick(t, "192.0.2", "198.51.100", "203.0.113"), 1+t.random.IntN(254))
}

// id is shaped like an event id, and unique: the serial number is in it.
func (t *Traffic) id() string {
	t.serial++
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", t.random.Uint32(), t.serial&0xffff, t.random.IntN(0x1000), t.serial>>16&0xfff, t.random.Uint64()&0xffffffffffff)
}

func (t *Traffic) key(prefix string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b strings.Builder
	b.WriteString(prefix)
	for range 9 {
		b.WriteByte(letters[t.random.IntN(len(letters))])
	}
	return b.String() + "EXAMPLE"
}

// object is a JSON object under construction.
type object = map[string]any

// event is a CloudTrail record with the fields that all have.
func (t *Traffic) event(account, service, name, address, agent string, identity object) object {
	return object{
		"eventVersion": "1.11", "userIdentity": identity, "eventTime": t.now().UTC().Format(time.RFC3339),
		"eventSource": service + ".amazonaws.com", "eventName": name, "awsRegion": pick(t, "us-east-1", "us-east-1", "eu-west-1"),
		"sourceIPAddress": address, "userAgent": agent, "requestParameters": nil, "responseElements": nil,
		"requestID": t.id(), "eventID": t.id(), "readOnly": strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Get"),
		"eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": account, "eventCategory": "Management",
	}
}

func root(account string, more object) object {
	identity := object{"type": "Root", "principalId": account, "arn": "arn:aws:iam::" + account + ":root", "accountId": account}
	for k, v := range more {
		identity[k] = v
	}
	return identity
}

func (t *Traffic) session(mfa string) object {
	return object{"attributes": object{"creationDate": t.now().Add(-time.Duration(t.random.IntN(3600)) * time.Second).UTC().Format(time.RFC3339), "mfaAuthenticated": mfa}}
}

// wrap puts an event into EventBridge's envelope.
func (t *Traffic) wrap(detailType, source string, event object) []byte {
	return encode(object{
		"version": "0", "id": t.id(), "detail-type": detailType, "source": source, "account": event["recipientAccountId"],
		"time": t.now().UTC().Format(time.RFC3339), "region": event["awsRegion"], "resources": []string{}, "detail": event,
	})
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and maps of them always encode
	}
	return data
}

func (t *Traffic) call(kind string, event object, verdict classify.Verdict, reason classify.Reason) Record {
	source := "aws." + strings.TrimSuffix(event["eventSource"].(string), ".amazonaws.com")
	r := Record{Kind: kind, Data: t.wrap("AWS API Call via CloudTrail", source, event), Result: "not_root", Verdict: verdict, Reason: reason}
	if verdict != "" {
		r.Result = "root"
	}
	return r
}
