package streams

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestSequenceNumbersComeBack(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		want := sequence{created: dice.Int64N(1 << 33), index: dice.IntN(maxShards), ordinal: dice.Uint64N(endOrdinal + 1), arrived: dice.Int64N(1 << 33)}
		text := want.String()
		got, ok := parseSequence(text)
		if !ok || got != want {
			t.Fatalf("%+v became %s and %+v, %v", want, text, got, ok)
		}
		if len(text) != 56 {
			t.Fatalf("%+v has %d digits", want, len(text))
		}
	}
}

func TestSequenceNumbersGrow(t *testing.T) {
	number := func(q sequence) *big.Int {
		n, _ := new(big.Int).SetString(q.String(), 10)
		return n
	}
	parent := sequence{created: 1000, index: 9, ordinal: 1, arrived: 5000}
	for what, later := range map[string]sequence{
		"the next record":                  {created: 1000, index: 9, ordinal: 2, arrived: 5000},
		"a later record of an odder clock": {created: 1000, index: 9, ordinal: 2, arrived: 4000},
		"the end":                          {created: 1000, index: 9, ordinal: endOrdinal, arrived: 5000},
		"the start of a child":             {created: 1001, index: 3, ordinal: 0, arrived: 0},
	} {
		if number(later).Cmp(number(parent)) <= 0 {
			t.Errorf("%s is not above", what)
		}
	}
	if number(sequence{created: 1001}).Cmp(number(sequence{created: 1000, index: 15, ordinal: endOrdinal, arrived: 1 << 33})) <= 0 {
		t.Error("a child's start is not above its parent's end")
	}
}

func TestWhatIsNoSequenceNumber(t *testing.T) {
	for _, s := range []string{"", "0", "x", "-1", "SHARD_END", "12345", "4959033827149025660855969253836157109592157598913658889", "99999999999999999999999999999999999999999999999999999999", "999999999999999999999999999999999999999999999999999999999999"} {
		if q, ok := parseSequence(s); ok {
			t.Errorf("%q was read as %+v", s, q)
		}
	}
}

func FuzzParseSequence(f *testing.F) {
	f.Add(sequence{created: 1767323045, index: 3, ordinal: 42, arrived: 1767323099}.String())
	f.Add("49590338271490256608559692538361571095921575989136588898")
	f.Fuzz(func(t *testing.T, s string) {
		if q, ok := parseSequence(s); ok {
			if again, ok := parseSequence(q.String()); !ok || again != q {
				t.Errorf("%q is %+v, which is %q", s, q, q.String())
			}
		}
	})
}

func TestHashKeys(t *testing.T) {
	for _, s := range []string{"0", "1", "18446744073709551615", "18446744073709551616", "170141183460469231731687303715884105728", "340282366920938463463374607431768211455"} {
		k, ok := parseHashKey(s)
		if !ok || k.String() != s {
			t.Errorf("%s became %s, %v", s, k, ok)
		}
		if s != "0" && k.prev().next() != k {
			t.Errorf("%s has no neighbour", s)
		}
	}
	for _, s := range []string{"", "-1", "x", "340282366920938463463374607431768211456"} {
		if k, ok := parseHashKey(s); ok {
			t.Errorf("%q was read as %s", s, k)
		}
	}
	if got := hashOf("key"); got.big().Text(16) != "3c6e0b8a9c15224a8228b9a98ca1531d" {
		t.Errorf("MD5 of key is %x", got.big())
	}
}
