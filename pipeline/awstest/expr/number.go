package expr

import (
	"math/big"
	"strconv"
	"strings"

	"rootwatch/pipeline/awstest/wire"
)

// number is a DynamoDB number: up to 38 significant digits, exact. digits has no trailing zeros,
// except 0 itself, whose exp is 0: so equal numbers are equal in both fields.
type number struct {
	digits *big.Int
	exp    int // value = digits * 10^exp
}

const (
	maxDigits    = 38
	maxMagnitude = 126  // numbers are below 10^126
	minMagnitude = -130 // and, zero apart, not below 10^-130
)

var ten = big.NewInt(10)

// parseNumber reads a decimal number as DynamoDB does.
func parseNumber(s string) (number, error) {
	bad := func() (number, error) {
		return number{}, wire.Invalid("The parameter cannot be converted to a numeric value: %s", s)
	}
	mantissa, exponent, hasExp := strings.Cut(strings.ToLower(s), "e")
	exp := 0
	if hasExp {
		var err error
		if exp, err = strconv.Atoi(exponent); err != nil {
			return bad()
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	unsigned := strings.TrimLeft(all, "+-")
	if unsigned == "" || len(all)-len(unsigned) > 1 || strings.Trim(unsigned, "0123456789") != "" || strings.ContainsAny(fraction, "+-") {
		return bad()
	}
	digits, ok := new(big.Int).SetString(all, 10)
	if !ok {
		return bad()
	}
	return number{digits, exp - len(fraction)}.checked()
}

// checked brings n into its one form and refuses what DynamoDB cannot hold.
func (n number) checked() (number, error) {
	if n.digits.Sign() == 0 {
		return number{new(big.Int), 0}, nil
	}
	text := n.digits.Text(10)
	if trimmed := strings.TrimRight(text, "0"); len(trimmed) < len(text) {
		n.exp += len(text) - len(trimmed)
		n.digits, _ = new(big.Int).SetString(trimmed, 10)
		text = trimmed
	}
	count := len(strings.TrimPrefix(text, "-"))
	switch magnitude := count + n.exp - 1; {
	case count > maxDigits:
		return n, wire.Invalid("Attempting to store more than 38 significant digits in a Number")
	case magnitude >= maxMagnitude:
		return n, wire.Invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case magnitude < minMagnitude:
		return n, wire.Invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return n, nil
}

// scaled gives the digits of n at a lower exponent.
func (n number) scaled(exp int) *big.Int {
	p := new(big.Int).Exp(ten, big.NewInt(int64(n.exp-exp)), nil)
	return p.Mul(p, n.digits)
}

func (n number) add(o number, sign int64) (number, error) {
	exp := min(n.exp, o.exp)
	sum := o.scaled(exp)
	sum.Mul(sum, big.NewInt(sign))
	return number{sum.Add(sum, n.scaled(exp)), exp}.checked()
}

func (n number) compare(o number) int {
	exp := min(n.exp, o.exp)
	return n.scaled(exp).Cmp(o.scaled(exp))
}

// String writes n as DynamoDB does: plain decimal, without superfluous zeros.
func (n number) String() string {
	if n.exp >= 0 {
		return n.scaled(0).String()
	}
	text := new(big.Int).Abs(n.digits).String()
	if short := -n.exp + 1 - len(text); short > 0 {
		text = strings.Repeat("0", short) + text
	}
	text = text[:len(text)+n.exp] + "." + text[len(text)+n.exp:]
	if n.digits.Sign() < 0 {
		return "-" + text
	}
	return text
}

// size is the bytes that the number counts for: two digits a byte and one more, plus one if
// negative.
func (n number) Size() int {
	digits := len(new(big.Int).Abs(n.digits).String())
	return (digits+1)/2 + 1 + max(-n.digits.Sign(), 0)
}
