package archive

// maxStamp is how many bytes of a line are looked at for a timestamp.
const maxStamp = 64

// stamp is how many bytes the timestamp takes, with the white space behind it, that an exported
// line begins with: what CloudWatch Logs' export tasks write is
//
//	2026-11-02T08:00:00.000Z {"eventVersion":…}
//
// (Amazon CloudWatch Logs User Guide, "Exporting log data to Amazon S3"). It is 0 if none stands
// there.
func stamp(line []byte) int {
	const pattern = "0000-00-00T00:00:00"
	if len(line) < len(pattern) {
		return 0
	}
	for i, p := range []byte(pattern) {
		if b := line[i]; p == '0' && (b < '0' || b > '9') || p != '0' && b != p {
			return 0
		}
	}
	i := len(pattern)
	if i < len(line) && line[i] == '.' {
		for i++; i < len(line) && '0' <= line[i] && line[i] <= '9'; i++ {
		}
	}
	if i == len(line) || line[i] != 'Z' {
		return 0
	}
	end := i + 1
	for end < len(line) && (line[end] == ' ' || line[end] == '\t') {
		end++
	}
	if end == i+1 {
		return 0
	}
	return end
}
