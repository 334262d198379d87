package archive

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"rootwatch/classify"
	"rootwatch/pipeline"
)

// Selection says which root calls are asked for; what is empty asks for all.
type Selection struct {
	Since, Until time.Time // of eventTime, both included
	Accounts     []string  // 12 digits each
	Regions      []string
}

// Wants reports whether a root call is asked for. A call without a readable time, a
// region or an account is not left out for that.
func (s *Selection) Wants(f *pipeline.Finding) bool {
	if at, err := time.Parse(time.RFC3339, f.Event.EventTime.Value); err == nil {
		if !s.Since.IsZero() && at.Before(s.Since) || !s.Until.IsZero() && at.After(s.Until) {
			return false
		}
	}
	region := f.Event.AWSRegion.Value
	return (f.AccountID == classify.UnknownAccount || among(f.AccountID, s.Accounts)) && (region == "" || among(region, s.Regions))
}

func among(value string, asked []string) bool {
	return len(asked) == 0 || slices.Contains(asked, value)
}

// margin is how far the times of a file's events may be from the day of its folder. The folder is
// that of the delivery, minutes after the event as a rule. CloudTrail delivers again what an outage
// held back (addendum DELIVERY_DELAY, SERVICE_OUTAGE), and that may take longer than a day: such a
// call is found without a time, or with a later --until.
const margin = 24 * time.Hour

// skips reports whether nothing below a folder can be asked for.
func (s *Selection) skips(p trailFolder) bool {
	switch {
	case p.account != "" && !among(p.account, s.Accounts), p.region != "" && !among(p.region, s.Regions):
		return true
	case p.from.IsZero():
		return false
	}
	return !s.Since.IsZero() && !p.to.Add(margin).After(s.Since) || !s.Until.IsZero() && p.from.Add(-margin).After(s.Until)
}

// trailFolder is what a folder's name says of the files below it, by the layout in which a trail
// delivers:
//
//	AWSLogs/[o-organisation/]account/CloudTrail/region/yyyy/mm/dd
//
// (AWS CloudTrail User Guide, "Finding your CloudTrail log files"), for CloudTrail-Insight and the
// like too. What it does not say is zero.
type trailFolder struct {
	account  string
	region   string
	from, to time.Time // of delivery: a year, a month or a day
	digest   bool
}

// trailFolderOf reads a path with "/" between its parts. The parts above CloudTrail may be missing,
// for a copy of a trail does not always begin at AWSLogs.
func trailFolderOf(path string) trailFolder {
	parts := strings.Split(path, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i] == "CloudTrail" || strings.HasPrefix(parts[i], "CloudTrail-") {
			p := trailFolder{digest: parts[i] == "CloudTrail-Digest"}
			if i > 0 && classify.IsAccountID(parts[i-1]) {
				p.account = parts[i-1]
			}
			p.below(parts[i+1:])
			return p
		}
		if parts[i] == "AWSLogs" {
			return trailFolder{account: accountBelow(parts[i+1:])}
		}
	}
	return trailFolder{}
}

// accountBelow is the account in the parts below AWSLogs.
func accountBelow(parts []string) string {
	if len(parts) > 0 && strings.HasPrefix(parts[0], "o-") {
		parts = parts[1:]
	}
	if len(parts) > 0 && classify.IsAccountID(parts[0]) {
		return parts[0]
	}
	return ""
}

// below reads the region and the date, as far as they go.
func (p *trailFolder) below(parts []string) {
	if len(parts) == 0 || !classify.IsRegion(parts[0]) {
		return
	}
	p.region = parts[0]
	year, ok := number(parts, 1, 4, 1, 9999)
	if !ok {
		return
	}
	p.from = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	p.to = p.from.AddDate(1, 0, 0)
	month, ok := number(parts, 2, 2, 1, 12)
	if !ok {
		return
	}
	p.from = time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC)
	p.to = p.from.AddDate(0, 1, 0)
	day, ok := number(parts, 3, 2, 1, p.to.AddDate(0, 0, -1).Day())
	if !ok {
		return
	}
	p.from = p.from.AddDate(0, 0, day-1)
	p.to = p.from.AddDate(0, 0, 1)
}

// number reads one part of a date, which has so many digits.
func number(parts []string, i, digits, least, most int) (int, bool) {
	if i >= len(parts) || len(parts[i]) != digits || strings.Trim(parts[i], "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(parts[i])
	return n, err == nil && n >= least && n <= most
}

// logFileDue reports whether a file in a folder of that place should be one of CloudTrail's log
// files, by the layout and by the name that CloudTrail gives them: whatever else it holds, it was
// one. Files beside them (.DS_Store) have other names.
func logFileDue(in trailFolder, name string) bool {
	if in.digest || strings.Contains(name, "_CloudTrail-Digest_") {
		return false
	}
	named := strings.Contains(name, "_CloudTrail_")
	for _, ending := range []string{".json", ".json.gz", ".json.zst", ".gz", ".zst"} {
		if strings.HasSuffix(name, ending) {
			return in.region != "" || named && strings.HasPrefix(ending, ".json")
		}
	}
	return false
}
