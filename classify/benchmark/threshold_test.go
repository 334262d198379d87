package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// logins are failed logins of root, one every `every`, at the accounts and from the addresses
// given.
func logins(every time.Duration, accounts, addresses []string) []entry {
	at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	var out []entry
	for i := range accounts {
		out = append(out, entry{Label: person, Record: record{
			"eventTime": at.Add(time.Duration(i) * every).Format(time.RFC3339), "eventID": fmt.Sprint(i), "eventName": "ConsoleLogin",
			"eventSource": "signin.amazonaws.com", "recipientAccountId": accounts[i], "sourceIPAddress": addresses[i], "errorMessage": "Failed authentication",
			"userIdentity": map[string]any{"type": "Root"}, "responseElements": map[string]any{"ConsoleLogin": "Failure"},
		}})
	}
	return out
}

// ruleNamed is the rule of that name.
func ruleNamed(t *testing.T, name string) rule {
	t.Helper()
	i := slices.IndexFunc(rules, func(r rule) bool { return r.Name == name })
	if i < 0 {
		t.Fatalf("there is no rule %s", name)
	}
	return rules[i]
}

func TestThresholds(t *testing.T) {
	same := func(n int, s string) []string { return slices.Repeat([]string{s}, n) }
	const panther, elastic = "Panther, its five root rules together", "Elastic, its root rules"
	for _, tt := range []struct {
		name    string
		rule    string
		entries []entry
		want    int // how many of the records are part of an alert
	}{
		{"four failed logins", panther, logins(time.Minute, same(4, "1"), same(4, "a")), 0},
		{"five failed logins", panther, logins(time.Minute, same(5, "1"), same(5, "a")), 5},
		{"five within more than a quarter of an hour", panther, logins(4*time.Minute, same(5, "1"), same(5, "a")), 0},
		{"six, of which five at a time are within a quarter of an hour", panther, logins(3*time.Minute+45*time.Second, same(6, "1"), same(6, "a")), 6},
		{"five from two addresses", panther, logins(time.Minute, same(5, "1"), []string{"a", "a", "a", "a", "b"}), 0},
		{"five at two accounts", panther, logins(time.Minute, []string{"1", "1", "1", "1", "2"}, same(5, "a")), 0},
		{"nine at an account", elastic, logins(10*time.Second, same(9, "1"), same(9, "a")), 0},
		{"ten at an account, from two addresses", elastic, logins(10*time.Second, same(10, "1"), slices.Concat(same(5, "a"), same(5, "b"))), 10},
		{"ten at an account, too slowly", elastic, logins(41*time.Second, same(10, "1"), same(10, "a")), 0},
		{"two accounts from an address", elastic, logins(time.Hour, []string{"1", "2"}, same(2, "a")), 2},
		{"two accounts from an address, too slowly", elastic, logins(time.Hour+time.Second, []string{"1", "2"}, same(2, "a")), 0},
		{"two accounts from two addresses", elastic, logins(time.Minute, []string{"1", "2"}, []string{"a", "b"}), 0},
		{"only those of the address are part of it", elastic, logins(time.Minute, []string{"1", "2", "3"}, []string{"a", "b", "a"}), 2},
	} {
		got := 0
		for _, alerts := range ruleNamed(t, tt.rule).alertsOn(tt.entries) {
			if alerts {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("%s, %s: alerts on %d, want %d", tt.rule, tt.name, got, tt.want)
		}
	}
}

func TestThresholdNeedsTimes(t *testing.T) {
	entries := logins(time.Minute, []string{"1", "2"}, []string{"a", "a"})
	entries[1].Record["eventTime"] = "redacted"
	if got := ruleNamed(t, "Elastic, its root rules").alertsOn(entries); slices.Contains(got, true) {
		t.Errorf("alerts on %v although one time is not known", got)
	}
}

// Copies of one failed login are one failed login.
func TestThresholdCountsCopiesOnce(t *testing.T) {
	entries := logins(time.Minute, slices.Repeat([]string{"1"}, 5), slices.Repeat([]string{"a"}, 5))
	entries[4].Record["eventID"] = entries[3].Record["eventID"]
	if got := ruleNamed(t, "Panther, its five root rules together").alertsOn(entries); slices.Contains(got, true) {
		t.Errorf("alerts on %v with four different events", got)
	}
}
