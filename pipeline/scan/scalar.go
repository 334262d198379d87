package scan

// scalar validates the number or the literal at i.
func scalar(data []byte, i int) int {
	switch data[i] {
	case 't':
		return literal(data, i, "true")
	case 'f':
		return literal(data, i, "false")
	case 'n':
		return literal(data, i, "null")
	}
	return number(data, i)
}

// literal validates the text at i, telling a beginning of it from something else.
func literal(data []byte, i int, text string) int {
	if end := i + len(text); end <= len(data) && string(data[i:end]) == text {
		return end
	}
	for k := range len(text) {
		if i+k == len(data) {
			return cutOff
		}
		if data[i+k] != text[k] {
			return malformed
		}
	}
	return i + len(text)
}

func digit(c byte) bool { return c-'0' <= 9 }

// number validates by the grammar of RFC 8259, section 6.
func number(data []byte, i int) int {
	if data[i] == '-' {
		i++
	}
	if i < len(data) && data[i] == '0' {
		i++
	} else if i = digits(data, i); i < 0 {
		return i
	}
	if i < len(data) && data[i] == '.' {
		if i = digits(data, i+1); i < 0 {
			return i
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		return digits(data, i)
	}
	return i
}

// digits validates one digit or more.
func digits(data []byte, i int) int {
	if i == len(data) {
		return cutOff
	}
	if !digit(data[i]) {
		return malformed
	}
	for i++; i < len(data) && digit(data[i]); i++ {
	}
	return i
}
