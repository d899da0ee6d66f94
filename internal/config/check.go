package config

import "slices"

// contradictions finds settings that are right by themselves and wrong together.
// One of them that is wrong by itself, and so not loaded, is judged only there.
func (l *loader) contradictions() {
	c := l.config
	wrong := func(is bool, name, other, reason string) {
		if is && !l.faulty(name) && !l.faulty(other) {
			s, _ := Named(name)
			l.fault(name, s.shown(s.field.get(&c)), c.source(name), reason)
		}
	}
	alone := func(is bool, name, other string) {
		wrong(is, name, other, "it goes with "+other+", which is not set")
	}
	alone(c.DatabaseDirectURL != "" && c.DatabaseURL == "", "DATABASE_DIRECT_URL", "DATABASE_URL")
	wrong(c.TrustedHops > 0 && len(c.TrustedProxies) > 0, "TRUSTED_HOPS", "TRUSTED_PROXIES", "it does not go with TRUSTED_PROXIES, which is set: trust proxies by their number or by their addresses")
	wrong(3*c.Heartbeat > c.Lease, "HEARTBEAT", "LEASE",
		"want at most a third of LEASE, which is "+short(c.Lease)+", so that one lost heartbeat does not cost the lease")
	wrong(c.BackoffBase > c.BackoffCap, "BACKOFF_BASE", "BACKOFF_CAP", "want at most BACKOFF_CAP, which is "+short(c.BackoffCap))
	wrong(c.StaleThreshold < 2*c.CheckInterval, "STALE_THRESHOLD_MINUTES", "CHECK_INTERVAL_SECONDS",
		"want at least twice CHECK_INTERVAL_SECONDS, which is "+short(c.CheckInterval))
	wrong(c.StaleThreshold >= 2*c.CheckInterval && c.StallAfter() < c.Lease, "STALE_THRESHOLD_MINUTES", "LEASE",
		"want at least LEASE plus CHECK_INTERVAL_SECONDS, which is "+short(c.Lease+c.CheckInterval))
	alone(c.SQSDLQURL != "" && len(c.SQSQueueURLs) == 0, "SQS_DLQ_URL", "SQS_QUEUE_URL")
	wrong(c.SQSDLQURL != "" && slices.Contains(c.SQSQueueURLs, c.SQSDLQURL), "SQS_DLQ_URL", "SQS_QUEUE_URL", "want another queue than SQS_QUEUE_URL")
	alone(c.AWSAccessKeyID != "" && c.AWSSecretAccessKey == "", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	alone(c.AWSSecretAccessKey != "" && c.AWSAccessKeyID == "", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")
	alone(c.AlertWebhookURL != "" && c.AlertWebhookSecret == "", "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET")
	alone(c.AlertWebhookSecret != "" && c.AlertWebhookURL == "", "ALERT_WEBHOOK_SECRET", "ALERT_WEBHOOK_URL")
	alone(c.SMTPURL != "" && len(c.AlertEmailTo) == 0, "SMTP_URL", "ALERT_EMAIL_TO")
	alone(len(c.AlertEmailTo) > 0 && c.SMTPURL == "", "ALERT_EMAIL_TO", "SMTP_URL")
}

func (l *loader) faulty(name string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Name == name || f.Name == name+fileSuffix })
}
