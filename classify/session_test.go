package classify

import (
	"testing"
	"time"
)

func TestSessionOf(t *testing.T) {
	const (
		account   = "111122223333"
		created   = "2024-05-01T08:00:00Z"
		signInARN = "arn:aws:signin:us-east-1:111122223333:session/0c5d"
		sessions  = "userIdentity.sessionContext"
		accessKey = "userIdentity.accessKeyId"
	)
	for _, tt := range []struct {
		name   string
		record map[string]any
		want   Session
	}{
		{"a creation time", sessionCall(), Session{account, ByCreation, created}},
		{"a creation time and the sign-in", edit(sessionCall(), set(sessions+".signInSessionArn", signInARN)), Session{account, ByCreation, created}},
		{"a sign-in", edit(bareCall(), set(sessions+".signInSessionArn", signInARN), set(accessKey, temporary)), Session{account, BySignIn, signInARN}},
		{"a key", edit(bareCall(), set(accessKey, longLived)), Session{account, ByKey, longLived}},
		{"an address", bareCall(), Session{account, ByAddress, office}},
		{"nothing", edit(bareCall(), drop("sourceIPAddress")), Session{account, ByAddress, ""}},
		{"a login", signIn(), Session{account, ByAddress, office}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := SessionOf(decode(t, tt.record), account); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSessionIDs(t *testing.T) {
	s := Session{"111122223333", ByCreation, "2024-05-01T08:00:00Z"}
	const want = "s-7ae64809" // it stands in ledgers and in pages: it must not change
	if got := s.ID(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, other := range map[string]Session{
		"another account":             {"444455556666", ByCreation, s.Value},
		"another kind":                {s.Account, ByKey, s.Value},
		"another time":                {s.Account, ByCreation, "2024-05-01T08:00:01Z"},
		"the same letters, elsewhere": {s.Account + "c", "reation", s.Value},
	} {
		if other.ID() == want {
			t.Errorf("%s has the same id", name)
		}
	}
}

func TestWhichCallsLookForTheirSession(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    Session
		want bool
	}{
		{"an address", Session{Kind: ByAddress, Value: office}, true},
		{"a temporary key, as the billing console's", Session{Kind: ByKey, Value: temporary}, true},
		{"a long-lived key", Session{Kind: ByKey, Value: longLived}, false},
		{"a creation time", Session{Kind: ByCreation, Value: "2024-05-01T08:00:00Z"}, false},
		{"a sign-in's name", Session{Kind: BySignIn, Value: "arn:aws:signin:us-east-1:111122223333:session/0c5d"}, false},
	} {
		if got := tt.s.Loose(); got != tt.want {
			t.Errorf("%s: got %t", tt.name, got)
		}
	}
}

func TestWhichSessionTakesACall(t *testing.T) {
	opened := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	o := OpenSession{Opened: opened, Addresses: map[string]bool{office: true}}
	for _, tt := range []struct {
		name    string
		signIn  bool
		at      time.Time
		address string
		want    bool
	}{
		{"a sign-in just before it", true, opened.Add(-9 * time.Second), "198.51.100.1", true},
		{"a sign-in five minutes before it", true, opened.Add(-5 * time.Minute), office, true},
		{"a sign-in long before it", true, opened.Add(-5*time.Minute - time.Second), office, false},
		{"a sign-in after it", true, opened.Add(time.Second), office, false},
		{"a sign-in at a time that is none", true, time.Time{}, office, false},
		{"a call while it is open, from its address", false, opened.Add(time.Hour), office, true},
		{"a call while it is open, from another address", false, opened.Add(time.Hour), "198.51.100.1", false},
		{"a call without an address", false, opened.Add(time.Hour), "", false},
		{"a call before it", false, opened.Add(-time.Second), office, false},
		{"a call when it must have ended", false, opened.Add(13 * time.Hour), office, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := o.Takes(tt.signIn, tt.at, tt.address); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}
