package classify

import "testing"

func TestIsRoot(t *testing.T) {
	const issuer = "userIdentity.sessionContext.sessionIssuer."
	as := func(identityType string, changes ...change) map[string]any {
		return edit(edit(bareCall(), set("userIdentity.type", identityType), drop("userIdentity.arn")), changes...)
	}
	for _, tt := range []struct {
		name   string
		record map[string]any
		want   bool
	}{
		{"type Root", bareCall(), true},
		{"type Root without an ARN", as("Root"), true},
		{"type Root with another's ARN", as("Root", set("userIdentity.arn", "arn:aws:iam::111122223333:user/alice")), true},
		{"type Root in lower case", as("root"), true},
		{"type Root in upper case", as("ROOT"), true},
		{"type Root between blanks", as(" Root "), true},
		{"federated user whose session root issued", as("FederatedUser", set(issuer+"type", "Root")), true},
		{"federated user whose issuer's ARN is a root's", as("FederatedUser", set(issuer+"arn", rootARN)), true},
		{"federated user of an IAM user", as("FederatedUser", set(issuer+"type", "IAMUser"), set(issuer+"arn", "arn:aws:iam::111122223333:user/alice")), false},
		{"federated user without an issuer", as("FederatedUser", set("userIdentity.arn", "arn:aws:sts::111122223333:federated-user/bob")), false},
		{"type Unknown with root's ARN", as("Unknown", set("userIdentity.arn", rootARN)), true},
		{"type Unknown without an ARN", as("Unknown", set("userIdentity.arn", "")), false},
		{"type Unknown with a user's ARN", as("Unknown", set("userIdentity.arn", "arn:aws:iam::111122223333:user/root")), false},
		{"no type, root's ARN", edit(bareCall(), drop("userIdentity.type")), true},
		{"null type, root's ARN", edit(bareCall(), set("userIdentity.type", null)), true},
		{"empty type, root's ARN", edit(bareCall(), set("userIdentity.type", "")), true},
		{"no type, a service's event", edit(bareCall(), set("userIdentity", map[string]any{"accountId": "111122223333", "invokedBy": "secretsmanager.amazonaws.com"})), false},
		{"a type that is new, root's ARN", as("AccountOwner", set("userIdentity.arn", rootARN)), true},
		{"a type that is new, a user's ARN", as("User", set("userIdentity.arn", "arn:aws:iam::111122223333:user/test")), false},
		{"China", as("Unknown", set("userIdentity.arn", "arn:aws-cn:iam::111122223333:root")), true},
		{"GovCloud", as("Unknown", set("userIdentity.arn", "arn:aws-us-gov:iam::111122223333:root")), true},
		{"European Sovereign Cloud", as("Unknown", set("userIdentity.arn", "arn:aws-eusc:iam::111122223333:root")), true},
		{"isolated partition", as("Unknown", set("userIdentity.arn", "arn:aws-iso-b:iam::111122223333:root")), true},
		{"ARN of another cloud", as("Unknown", set("userIdentity.arn", "arn:awsome:iam::111122223333:root")), false},
		{"ARN with a short account", as("Unknown", set("userIdentity.arn", "arn:aws:iam::11112222333:root")), false},
		{"ARN with more behind root", as("Unknown", set("userIdentity.arn", rootARN+":x")), false},
		{"ARN of a role called root", as("Unknown", set("userIdentity.arn", "arn:aws:iam::111122223333:role/x:root")), false},
		{"IAM user with root's ARN", as("IAMUser", set("userIdentity.arn", rootARN)), false},
		{"assumed role with root's ARN", as("AssumedRole", set("userIdentity.arn", rootARN)), false},
		{"assumed role whose issuer says Root", as("AssumedRole", set(issuer+"type", "Root")), false},
		{"root of another account", as("AWSAccount", set("userIdentity.arn", rootARN)), false},
		{"the AssumeRoot call itself", as("AssumedRole", set("eventSource", "sts.amazonaws.com"), set("eventName", "AssumeRoot"), set("userIdentity.sessionContext.assumedRoot", "true")), false},
		{"Root elsewhere in the record", as("IAMUser", set("requestParameters.type", "Root"), set("type", "Root")), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := IsRoot(decode(t, tt.record)); got != tt.want {
				t.Errorf("IsRoot = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestNeverRootIsTheClosedListOfOtherIdentities(t *testing.T) {
	never := []string{"IAMUser", "AssumedRole", "Role", "AWSService", "AWSAccount", "Directory", "SAMLUser", "WebIdentityUser", "IdentityCenterUser"}
	for _, typ := range never {
		if !NeverRoot(typ) {
			t.Errorf("NeverRoot(%q) = false", typ)
		}
		// The promise: nothing else in the record can make it root.
		all := edit(bareCall(), set("userIdentity.type", typ), set("userIdentity.sessionContext.sessionIssuer", map[string]any{"type": "Root", "arn": rootARN}))
		if IsRoot(decode(t, all)) {
			t.Errorf("%s was judged root", typ)
		}
	}
	for _, typ := range []string{"Root", "root", "", "FederatedUser", "Unknown", "iamuser", "IAMUser ", "User", "Anything"} {
		if NeverRoot(typ) {
			t.Errorf("NeverRoot(%q) = true", typ)
		}
	}
	if len(neverRoot) != len(never) {
		t.Errorf("%d types in the list, %d here", len(neverRoot), len(never))
	}
}

func TestAccount(t *testing.T) {
	const id = "userIdentity.accountId"
	for _, tt := range []struct {
		name     string
		changes  []change
		envelope string
		want     string
	}{
		{"the identity's", []change{set(id, "000000000001")}, "444455556666", "000000000001"},
		{"the ARN's, without the identity's", []change{drop(id), set("userIdentity.arn", "arn:aws:iam::222233334444:root")}, "", "222233334444"},
		{"the ARN's, when the identity's lost its zero", []change{set(id, "22233334444"), set("userIdentity.arn", "arn:aws:iam::022233334444:root")}, "", "022233334444"},
		{"a federated user's ARN", []change{drop(id), set("userIdentity.arn", "arn:aws:sts::222233334444:federated-user/bob")}, "", "222233334444"},
		{"the recipient's", []change{drop(id), set("userIdentity.arn", ""), set("recipientAccountId", "333344445555")}, "444455556666", "333344445555"},
		{"the envelope's", []change{drop(id), drop("userIdentity.arn"), drop("recipientAccountId")}, "444455556666", "444455556666"},
		{"none", []change{drop(id), drop("userIdentity.arn"), drop("recipientAccountId")}, "", "unknown"},
		{"redacted everywhere", []change{set(id, "XXXXXXXXXXXX"), set("userIdentity.arn", "arn:aws:iam::XXXXXXXXXXXX:root"), set("recipientAccountId", "-")}, "n/a", "unknown"},
		{"digits of another script", []change{set(id, "١٢٣٤٥٦"), drop("userIdentity.arn"), drop("recipientAccountId")}, "", "unknown"},
		{"a label's attack", []change{set(id, "1\"} 1\nx{a=\""), drop("userIdentity.arn"), drop("recipientAccountId")}, "", "unknown"},
		{"not from principalId", []change{drop(id), drop("userIdentity.arn"), drop("recipientAccountId"), set("userIdentity.principalId", "111122223333")}, "", "unknown"},
		{"a number of 12 digits", []change{set(id, 111122224444)}, "", "111122224444"},
		{"a list", []change{set(id, []string{"222233334444"})}, "", "111122223333"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := decode(t, edit(bareCall(), tt.changes...))
			ev.EnvelopeAccount = tt.envelope
			if got := Classify(ev).AccountID; got != tt.want {
				t.Errorf("account %q, want %q", got, tt.want)
			}
		})
	}
}
