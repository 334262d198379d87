package envelope

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// insight is an event of CloudTrail Insights, as AWS documents it: nobody is named, and source and
// name stand one level down.
const insight = `{"eventVersion":"1.08","eventTime":"2026-01-01T00:00:00Z","awsRegion":"us-east-1","eventID":"i","eventType":"AwsCloudTrailInsight",` +
	`"recipientAccountId":"111122223333","insightDetails":{"state":"Start","eventSource":"ssm.amazonaws.com","eventName":"X",` +
	`"insightType":"ApiCallRateInsight"},"eventCategory":"Insight"}`

// A root call must not vanish from a list because another member of it is odd.
func TestInAListAnIdentityIsEnough(t *testing.T) {
	without := strings.NewReplacer(`"eventName":"CreateUser",`, ``)
	tests := []struct{ name, event, want string }{
		{"no eventName", without.Replace(rootEvent), "root"},
		{"eventName a number", strings.Replace(rootEvent, `"CreateUser"`, `7`, 1), "root"},
		{"eventSource null", strings.Replace(rootEvent, `"iam.amazonaws.com"`, `null`, 1), "root"},
		{"the identity's name in capitals", without.Replace(strings.Replace(rootEvent, "userIdentity", "USERIDENTITY", 1)), "root"},
		{"the identity's name with an escape", without.Replace(strings.Replace(rootEvent, "userIdentity", `userIdentit\u0079`, 1)), "root"},
		{"another identity null", `{"userIdentity":{"type":"Root"},"userIdentity":null}`, "root"},
		{"a user without eventName", `{"eventSource":"a","userIdentity":{"type":"IAMUser"}}`, "not_root"},
		{"an identity of a wrong type", `{"userIdentity":7}`, "undecodable"},
		{"an identity that is null", `{"userIdentity":null}`, "not_cloudtrail"},
		{"no identity and no name", `{"eventSource":"a"}`, "not_cloudtrail"},
		{"another detail-type beside it", `{"detail-type":"x","userIdentity":{"type":"Root"}}`, "not_cloudtrail"},
	}
	for _, tt := range tests {
		for form, data := range map[string]string{
			"an S3 log file": inFile(tt.event), "a CloudWatch Logs payload": logged(tt.event), "a LookupEvents answer": lookedUp(tt.event),
		} {
			t.Run(tt.name+" in "+form, func(t *testing.T) {
				if got := read(t, Config{}, data).counts; got[tt.want] != 1 || len(got) != 1 {
					t.Errorf("results %v, want one %s", got, tt.want)
				}
			})
		}
	}
}

func TestInsightsAreNotRoot(t *testing.T) {
	for name, tt := range map[string]struct {
		data string
		want string
	}{
		"bare":                              {insight, "not_root"},
		"bare, by its category alone":       {`{"eventCategory":"Insight"}`, "not_root"},
		"bare, by its type alone":           {`{"eventType":"AwsCloudTrailInsight"}`, "not_root"},
		"bare, its category with an escape": {`{"eventCategory":"Insigh\u0074"}`, "not_root"},
		"in an S3 log file":                 {inFile(insight), "not_root"},
		"in a CloudWatch Logs payload":      {logged(insight), "not_root"},
		"in a LookupEvents answer":          {lookedUp(insight), "not_root"},
		"of another category":               {`{"eventCategory":"Management"}`, "not_cloudtrail"},
		"with root as its identity":         {strings.Replace(insight, "{", `{"userIdentity":{"type":"Root"},`, 1), "root"},
		"beside a list":                     {strings.Replace(insight, "{", `{"Records":[`+rootEvent+`],`, 1), "root"},
		"broken off":                        {insight[:len(insight)-1], "undecodable"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := read(t, Config{}, tt.data).counts; got[tt.want] != 1 || len(got) != 1 {
				t.Errorf("results %v, want one %s", got, tt.want)
			}
		})
	}
}

// JSON says nothing of such texts, and AWS sends none: then every call in them is heard of.
func TestOfSeveralListsEachIsJudged(t *testing.T) {
	message, lookup := `[{"message":`+quote(withID(rootEvent, "b"))+`}]`, `[{"CloudTrailEvent":`+quote(withID(rootEvent, "c"))+`}]`
	for name, tt := range map[string]struct {
		data string
		want map[string]int
	}{
		"two Records":             {`{"Records":[` + rootEvent + `],"Records":[` + userEvent + `,` + userEvent + `]}`, map[string]int{"root": 1, "not_root": 2}},
		"the second null":         {`{"Records":[` + rootEvent + `],"Records":null}`, map[string]int{"root": 1}},
		"the second no list":      {`{"Records":[` + rootEvent + `],"Records":5}`, map[string]int{"root": 1}},
		"the second broken off":   {`{"Records":[` + rootEvent + `],"Records":[`, map[string]int{"root": 1, "undecodable": 1}},
		"all of them":             {`{"Records":[` + rootEvent + `],"logEvents":` + message + `,"Events":` + lookup + `}`, map[string]int{"root": 3}},
		"beside one event":        {`{"Records":[` + rootEvent + `],"CloudTrailEvent":` + quote(userEvent) + `}`, map[string]int{"root": 1, "not_root": 1}},
		"in a DATA_MESSAGE":       {`{"messageType":"DATA_MESSAGE","Records":[` + rootEvent + `]}`, map[string]int{"root": 1, "undecodable": 1}},
		"in a CONTROL_MESSAGE":    {`{"messageType":"CONTROL_MESSAGE","Records":[` + rootEvent + `],"logEvents":[]}`, map[string]int{"root": 1}},
		"two lists of log events": {`{"logEvents":` + message + `,"logEvents":` + message + `}`, map[string]int{"root": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(t, Config{}, tt.data).counts
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			agree(t, []byte(tt.data))
		})
	}
	if got := read(t, Config{MaxEvents: 3}, `{"Records":[`+userEvent+`,`+userEvent+`],"Records":[`+userEvent+`,`+rootEvent+`]}`).counts; got["undecodable"] != 1 || got["not_root"] != 3 {
		t.Errorf("results %v: the limit is not for all lists together", got)
	}
}

// An event that stands whole before the break is judged, although its wrapping is not whole.
func TestAStringThatIsWholeIsJudgedWhateverBreaksBehindIt(t *testing.T) {
	for name, tt := range map[string]struct {
		whole string // what is cut
		rest  string // what remains behind the string's last quote
		want  map[string]int
	}{
		"right behind the message":      {logged(userEvent, rootEvent), "", map[string]int{"root": 1, "not_root": 1, "undecodable": 1}},
		"a brace behind the message":    {logged(userEvent, rootEvent), "}", map[string]int{"root": 1, "not_root": 1, "undecodable": 1}},
		"a comma behind the message":    {logged(userEvent, rootEvent), `,`, map[string]int{"root": 1, "not_root": 1, "undecodable": 1}},
		"another member is cut":         {logged(userEvent, rootEvent), `,"x":"y`, map[string]int{"root": 1, "not_root": 1, "undecodable": 1}},
		"rubbish behind the message":    {logged(rootEvent), `x`, map[string]int{"root": 1, "undecodable": 1}},
		"right behind a looked-up call": {lookedUp(userEvent, rootEvent), "", map[string]int{"root": 1, "not_root": 1, "undecodable": 1}},
		"a message that is not broken":  {logged(userEvent), "", map[string]int{"not_root": 1, "undecodable": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			cut := tt.whole[:strings.LastIndex(tt.whole, `}"`)+len(`}"`)] + tt.rest
			got := read(t, Config{}, cut).counts
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			agree(t, []byte(cut))
		})
	}
	t.Run("a string that is cut itself, or no string at all", func(t *testing.T) {
		for _, cut := range []string{`{"logEvents":[{"message":"{`, `{"logEvents":[{"message":7`, `{"logEvents":[{"message":7,`, `{"logEvents":[{"message":{}`} {
			if got := read(t, Config{}, cut).counts; got["undecodable"] != 1 || len(got) != 1 {
				t.Errorf("results %v of %s, want one undecodable", got, cut)
			}
		}
	})
}

func TestEventsThatAreNotRootsCountAgainstTheLimit(t *testing.T) {
	for name, data := range map[string]string{"records": inFile(userEvent, userEvent, userEvent), "messages": logged(userEvent, userEvent, userEvent)} {
		got := read(t, Config{MaxEvents: 2}, data).counts
		if diff := cmp.Diff(map[string]int{"not_root": 2, "undecodable": 1}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnEventBeyondAllMeasureIsRefused(t *testing.T) {
	huge := strings.Replace(rootEvent, "aws-cli/2", strings.Repeat("x", maxEvent), 1)
	for name, data := range map[string]string{
		"bare": huge, "in an envelope": viaEventBridge(huge), "in a list": inFile(huge), "in a string": logged(huge),
		"in a string of escapes": `{"logEvents":[{"message":"` + strings.Repeat(`\u0020`, maxEvent/2) + `"}]}`,
	} {
		if got := read(t, Config{}, data); got.counts["undecodable"] != 1 || len(got.counts) != 1 || got.broken[0] != errTooLong {
			t.Errorf("%s: results %v, want one undecodable", name, got.counts)
		}
	}
}
