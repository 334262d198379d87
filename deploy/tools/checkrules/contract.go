package main

// metricType is a metric's type in the exposition format.
type metricType string

const (
	counter   metricType = "counter"
	gauge     metricType = "gauge"
	histogram metricType = "histogram"
)

// metric is one metric that rules may use.
type metric struct {
	name   string
	typ    metricType
	labels []string // sorted
	// lazy marks a metric that an idle worker need not show: its series are born with what they
	// count.
	lazy bool
}

// contract is what the worker promises to export, in the order of its documentation. Rules and
// dashboards stand on it: a name that is not here does not exist.
var contract = []metric{
	{"rootwatch_root_calls_total", counter, []string{"reason", "verdict"}, false},
	{"rootwatch_root_calls_by_account_total", counter, []string{"account_id", "verdict"}, true},
	{"rootwatch_accounts_overflow_total", counter, nil, false},
	{"rootwatch_last_root_call_timestamp_seconds", gauge, []string{"account_id", "verdict"}, true},
	{"rootwatch_last_unpushed_root_call_timestamp_seconds", gauge, []string{"account_id", "severity"}, true},
	{"rootwatch_unrecorded_root_calls", gauge, nil, false},
	{"rootwatch_oldest_batch_seconds", gauge, nil, false},
	{"rootwatch_sink_failures_total", counter, nil, false},
	{"rootwatch_records_total", counter, nil, false},
	{"rootwatch_record_bytes_total", counter, nil, false},
	{"rootwatch_events_total", counter, []string{"result"}, false},
	{"rootwatch_last_undecodable_timestamp_seconds", gauge, nil, false},
	{"rootwatch_event_delay_seconds", histogram, nil, false},
	{"rootwatch_last_heartbeat_timestamp_seconds", gauge, []string{"region"}, true},
	{"rootwatch_shard_behind_latest_seconds", gauge, []string{"shard_id"}, true},
	{"rootwatch_shards", gauge, nil, false},
	{"rootwatch_leases_held", gauge, nil, false},
	{"rootwatch_lease_changes_total", counter, []string{"change"}, false},
	{"rootwatch_checkpoints_total", counter, nil, false},
	{"rootwatch_checkpoint_failures_total", counter, nil, false},
	{"rootwatch_fetches_total", counter, []string{"result"}, false},
	{"rootwatch_data_loss_total", counter, []string{"cause"}, false},
	{"rootwatch_ledger_failures_total", counter, nil, true},                                   // only with a ledger
	{"rootwatch_alert_deliveries_total", counter, []string{"result"}, true},                   // only where a push is configured
	{"rootwatch_config_last_reload_successful", gauge, []string{"file"}, true},                // only with such a file
	{"rootwatch_config_last_reload_success_timestamp_seconds", gauge, []string{"file"}, true}, // only with such a file
	{"process_start_time_seconds", gauge, nil, false},
}

// values are the closed lists of label values, where a rule may ask for one. "metric label" is the
// key.
var values = map[string][]string{
	"rootwatch_root_calls_total verdict": {"service_invoked", "unexplained", "expected"},
	"rootwatch_root_calls_total reason": {
		"known_service", "other_service", "no_root_arn", "sign_in", "assumed_root", "access_key", "forwarded",
		"console_session", "cli_session", "aws_internal", "unattributed",
	},
	"rootwatch_last_unpushed_root_call_timestamp_seconds severity": {"critical", "high", "medium", "low", "info"},
	"rootwatch_events_total result": {
		"root", "not_root", "not_cloudtrail", "heartbeat", "foreign_source", "undecodable", "duplicate",
	},
	"rootwatch_config_last_reload_successful file": {"accounts", "policy"},
	"rootwatch_fetches_total result":               {"ok", "throttled", "failed", "expired_iterator", "strange"},
}

// unmissable are counters of which one count is enough for an alert. increase() and its kin do not
// see a count that is there at the first scrape, nor one over a gap that is longer than their
// range: no alert may stand on that.
var unmissable = []string{
	"rootwatch_root_calls_total", "rootwatch_root_calls_by_account_total", "rootwatch_data_loss_total",
	"rootwatch_accounts_overflow_total", "rootwatch_alert_deliveries_total",
}

// pushed are alerts that the worker itself sends to Alertmanager: they have a runbook and no rule.
var pushed = []string{"RootCallEvent"}

// find returns the metric that a series of this name belongs to; a histogram has three series.
func find(series string) (metric, bool) {
	for _, m := range contract {
		if m.name == series {
			return m, true
		}
		if m.typ != histogram {
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if m.name+suffix == series {
				return m, true
			}
		}
	}
	return metric{}, false
}
