package classify

import (
	"math/rand/v2"
	"testing"
)

// spelling is one of the ways in which a record says a fact.
type spelling struct {
	set   func(*facts)
	value any // absent: the member is not there
}

var absent = new(int)

// as gives each of the values the same meaning.
func as(set func(*facts), values ...any) (list []spelling) {
	for _, v := range values {
		list = append(list, spelling{set, v})
	}
	return list
}

func all(lists ...[]spelling) (joined []spelling) {
	for _, l := range lists {
		joined = append(joined, l...)
	}
	return joined
}

func nothing(*facts) {}

func object1(key string, value any) map[string]any { return map[string]any{key: value} }

// spellings are, for each field that a fact is read from, the values that stand for its classes.
var spellings = []struct {
	field  string
	values []spelling
}{
	{"userIdentity.type", all(
		as(func(f *facts) { f.exactRoot = true }, "Root", "Root", "Root"),
		as(nothing, "root", " Root", "ROOT"))},
	{"userIdentity.arn", all(
		as(func(f *facts) { f.emptyARN = true }, ""),
		as(nothing, rootARN, null, absent, "arn:aws:iam::111122223333:user/bob"))},
	{"eventType", all(
		as(func(f *facts) { f.event = apiCall }, "AwsApiCall", "AwsServiceEvent", "", absent, null),
		as(func(f *facts) { f.event = consoleSignIn }, "AwsConsoleSignIn", "AwsConsoleSignin", " awsconsolesignin"),
		as(func(f *facts) { f.event = consoleAction }, "AwsConsoleAction", "AWSCONSOLEACTION"),
		as(func(f *facts) { f.event = otherEvent }, "AwsVpceEvent", "awsapicall", " AwsApiCall", 5, []string{"AwsApiCall"}))},
	{"eventSource", all(
		as(func(f *facts) { f.called = calledService }, "ec2.amazonaws.com", "", absent, null, "signing.amazonaws.com"),
		as(func(f *facts) { f.called = calledSignIn }, "signin.amazonaws.com", "SignIn.amazonaws.com ", "us-east-1.signin.amazonaws.com", "signin.amazonaws.com.cn"),
		as(func(f *facts) { f.called = calledOdd }, object1("name", "ec2.amazonaws.com"), 7, false))},
	{"userIdentity.invokedBy", all(callerSpellings(func(f *facts, k callerKind, known bool) { f.invokedBy, f.known = k, known })...)},
	{"sourceIPAddress", all(callerSpellings(func(f *facts, k callerKind, _ bool) { f.address = k })...)},
	{"userIdentity.accessKeyId", all(
		as(nothing, absent, absent, "", null),
		as(func(f *facts) { f.key = temporaryKey }, temporary, "asiaiosfodnn7example", " ASIA"),
		as(func(f *facts) { f.key = longLivedKey }, longLived, "akiaiosfodnn7example"),
		as(func(f *facts) { f.key = otherKey }, "xx", " ", 5, object1("a", 1), false))},
	{"userIdentity.credentialId", all(
		as(nothing, absent, absent, "", null, map[string]any{}),
		as(func(f *facts) { f.bearer = true }, "EXAMPLEVHULj", 5, false))},
	{"tlsDetails", all(
		as(nothing, absent, absent, null, map[string]any{}, object1("tlsVersion", "")),
		as(func(f *facts) { f.marks |= markTLS }, object1("tlsVersion", "TLSv1.3"), "TLSv1.3", false))},
	{"sessionCredentialFromConsole", all(
		as(nothing, absent, absent, "false", false, "", null),
		as(func(f *facts) { f.marks |= markConsole }, "true", true, " TRUE"),
		as(func(f *facts) { f.marks |= markConsoleOdd }, "1", 7, []bool{true}))},
	{"userIdentity.invokedByDelegate", all(
		as(nothing, absent, absent, map[string]any{}),
		as(func(f *facts) { f.marks |= markDelegate }, object1("accountId", "444455556666"), "x"))},
	{"signInSessionArn", signInSpellings},
	{"userIdentity.signInSessionArn", signInSpellings},
	{"additionalEventData.signInSessionArn", signInSpellings},
	{"userIdentity.onBehalfOf", all(
		as(nothing, absent, absent, null, map[string]any{}),
		as(func(f *facts) { f.marks |= markOnBehalfOf }, object1("userId", "u"), "x"))},
	{"userIdentity.inScopeOf", all(
		as(nothing, absent, absent, map[string]any{}),
		as(func(f *facts) { f.marks |= markInScopeOf }, object1("issuerType", "AWS::EC2::Instance")))},
	{"userIdentity.sessionContext", all(
		as(nothing, absent, absent, null, map[string]any{}, literal(`{"sessionIssuer":{},"attributes":{"creationDate":""}}`), literal(`[]`)),
		as(func(f *facts) { f.session = true }, literal(`{"attributes":{"creationDate":"2024-05-01T08:00:00Z"}}`), literal(`{"novelty":1}`), "x", false, literal(`[1]`),
			literal(`{"assumedRoot":"false"}`), literal(`{"attributes":{"sessionCredentialFromConsole":"false"}}`)),
		as(func(f *facts) { f.session = true; f.marks |= markAssumedRoot }, literal(`{"assumedRoot":"true"}`), literal(`{"assumedRoot":true}`)),
		as(func(f *facts) { f.session = true; f.marks |= markConsoleSession }, literal(`{"attributes":{"sessionCredentialFromConsole":"true"}}`), literal(`{"attributes":{"sessionCredentialFromConsole":true}}`)),
		as(func(f *facts) { f.session = true; f.marks |= markSignIn }, literal(`{"signInSessionArn":"arn:aws:signin:eu-west-1:111122223333:session/0c5d"}`)))},
	{"userAgent", all(
		as(nothing, "aws-cli/2.31.0", "autoscaling.amazonaws.com", "AWS Internal", "AWS Internal/3", absent, 5, ""),
		as(func(f *facts) { f.agent = browserAgent }, "Mozilla/5.0 (X11)", "mozilla/4.0", "[Mozilla/5.0]"),
		as(func(f *facts) { f.agent = consoleAgent }, "console.amazonaws.com", "signin.amazonaws.com", "[S3Console/0.4]", "Coral/Netty4", "aws-internal/3 aws-sdk-java/1.11", "Mozilla/5.0 aws-internal/3"))},
	{"errorCode", all(
		as(nothing, absent, absent, "", null),
		as(func(f *facts) { f.failed = true }, "AccessDenied", 5))},
}

var signInSpellings = all(
	as(nothing, absent, absent, absent, absent, "", null),
	as(func(f *facts) { f.marks |= markSignIn }, "arn:aws:signin:eu-west-1:111122223333:session/0c5d", 5))

func callerSpellings(set func(*facts, callerKind, bool)) [][]spelling {
	is := func(kind callerKind, known bool) func(*facts) { return func(f *facts) { set(f, kind, known) } }
	return [][]spelling{
		as(is(noCaller, false), absent, "", null, map[string]any{}),
		as(is(otherCaller, false), office, "2001:db8::1", "evilamazonaws.com", "ec2-203-0-113-7.compute-1.amazonaws.com", 5, []string{"autoscaling.amazonaws.com"}, "XXXX"),
		as(is(internalCaller, false), "AWS Internal", "AWS Internal/3", "aws.internal", "internal.amazonaws.com"),
		as(is(consoleCaller, false), "signin.amazonaws.com", "console.ec2.amazonaws.com"),
		as(is(agentCaller, false), "cloudshell.amazonaws.com", "aws-mcp.amazonaws.com", "eu-west-1.q.amazonaws.com"),
		as(is(serviceCaller, false), "rds.amazonaws.com", "workmail.eu-west-1.amazonaws.com", "eks-nodegroup.amazonaws.eu"),
		as(is(serviceCaller, true), "autoscaling.amazonaws.com", " ElasticLoadBalancing.amazonaws.com", "autoscaling.cn-north-1.amazonaws.com.cn"),
	}
}

// TestFactsAreReadFromEverySpelling samples the way from a record's JSON to facts: each field says
// one of its classes in one of its spellings, types included, and nothing else.
func TestFactsAreReadFromEverySpelling(t *testing.T) {
	const seed = 8
	random := rand.New(rand.NewPCG(seed, seed))
	seen := make(map[string]map[int]bool)
	for range 20_000 {
		record := map[string]any{"userIdentity": map[string]any{}}
		var want facts
		var values []any
		for _, s := range spellings {
			n := random.IntN(len(s.values))
			if random.IntN(3) == 0 {
				n = 0 // half of the records have few things at once
			}
			if seen[s.field] == nil {
				seen[s.field] = make(map[int]bool)
			}
			seen[s.field][n] = true
			s.values[n].set(&want)
			if v := s.values[n].value; v != absent {
				record = edit(record, set(s.field, v))
			}
			values = append(values, s.field, s.values[n].value)
		}
		ev := decode(t, record)
		if got := readCall(ev).facts; got != want {
			t.Fatalf("read  %+v\nwant  %+v\nfrom %v", got, want, values)
		}
		reason, start := specified(want)
		got := Classify(ev)
		if want.key == longLivedKey {
			start = Critical
		}
		if got.Reason != reason || got.Severity != start {
			t.Fatalf("judged %s %s, want %s %s\nfrom %v", got.Reason, got.Severity, reason, start, values)
		}
	}
	for _, s := range spellings {
		if len(seen[s.field]) != len(s.values) {
			t.Errorf("%s was tried in %d of %d spellings", s.field, len(seen[s.field]), len(s.values))
		}
	}
}
