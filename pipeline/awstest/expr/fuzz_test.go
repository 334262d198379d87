package expr

import (
	"math/big"
	"testing"
)

func FuzzExpressions(f *testing.F) {
	for _, s := range []string{
		"attribute_exists(a) AND (b = :v OR NOT c < :v)", "SET a.b[3] = if_not_exists(a, :v) + :v REMOVE c ADD d :v", "a BETWEEN :v AND :v", "a IN (:v, b)", "((a = :v))", "a[", "#n.#n[0]", "size(a) >= :v",
	} {
		f.Add(s)
	}
	it := Item{"a": {kind: "N", n: number{big.NewInt(5), 0}}, "b": {kind: "L", list: []Value{{kind: "S", s: "x"}}}, "c": {kind: "M", m: map[string]Value{"a": {kind: "BOOL"}}}}
	f.Fuzz(func(t *testing.T, s string) {
		env := func() *Placeholders {
			return &Placeholders{
				ExpressionAttributeNames:  map[string]string{"#n": "c"},
				ExpressionAttributeValues: map[string]Value{":v": {kind: "N", n: number{big.NewInt(1), 0}}},
			}
		}
		before := it.String()
		if c, err := env().Condition("ConditionExpression", &s); err == nil {
			c.Test(it)
			c.Test(nil)
		}
		if u, err := env().Update(&s); err == nil {
			if changed, err := u.Apply(it); err == nil && changed == nil {
				t.Errorf("%q leaves no item", s)
			}
		}
		if wanted, err := env().Projection(&s); err == nil {
			wanted.Of(it)
		}
		if after := it.String(); after != before {
			t.Errorf("%q changed the item from %s to %s", s, before, after)
		}
	})
}

// String is for comparing in tests.
func (it Item) String() string { return Value{kind: "M", m: it}.String() }

func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"0", "-1.50", "1e10", "1E-130", "9.9999999999999999999999999999999999999E+125", "00012.3400", ".5", "5."} {
		f.Add(s, "1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err := parseNumber(a)
		if err != nil {
			return
		}
		if again, err := parseNumber(x.String()); err != nil || again.compare(x) != 0 || again.exp != x.exp {
			t.Errorf("%q is %s, which is %s: %v", a, x, again, err)
		}
		want, ok := new(big.Rat).SetString(x.String())
		if !ok {
			t.Fatalf("%q is written %s", a, x)
		}
		y, err := parseNumber(b)
		if err != nil {
			return
		}
		other, _ := new(big.Rat).SetString(y.String())
		if x.compare(y) != want.Cmp(other) {
			t.Errorf("%s and %s compare as %d", x, y, x.compare(y))
		}
		for sign, exact := range map[int64]*big.Rat{1: new(big.Rat).Add(want, other), -1: new(big.Rat).Sub(want, other)} {
			sum, err := x.add(y, sign)
			if err != nil {
				continue
			}
			if got, _ := new(big.Rat).SetString(sum.String()); got.Cmp(exact) != 0 {
				t.Errorf("%s %+d * %s = %s", x, sign, y, sum)
			}
		}
	})
}
