variable "organization_id" {
  description = "The organisation whose accounts may send to the central bus, such as o-a1b2c3d4e5."
  type        = string
}

variable "organization_root_id" {
  description = "The organisation's root, such as r-ab12, or the unit that the forwarder is for."
  type        = string
}

variable "regions" {
  description = "Every region that accounts use, opt-in regions too. us-east-1 must be one: root's sign-ins are recorded there."
  type        = list(string)

  validation {
    condition     = contains(var.regions, "us-east-1")
    error_message = "Without us-east-1 no console sign-in of root is seen."
  }
}

variable "heartbeat_account_id" {
  description = "The member account that sends the heartbeat in each region; better not the central account. Leave it at none for the first apply, so that a heartbeat that EventBridge refuses cannot take the forwarders with it."
  type        = string
  default     = "none"
}

variable "heartbeat_via" {
  description = "scheduled-rule, or scheduler if no heartbeat arrives."
  type        = string
  default     = "scheduled-rule"
}

variable "cloudtrail_events" {
  description = "root-only, or all: each management event of each account is then charged."
  type        = string
  default     = "root-only"
}

variable "trusted_sources" {
  description = "For organisations that republish CloudTrail's events: sources besides AWS's own whose events are forwarded, let into the stream and judged."
  type        = list(string)
  default     = []
}

variable "keep_foreign_events" {
  description = "true to see who sends events that claim to be CloudTrail's, in a queue; they are counted either way. Not for long: see KeepForeignEvents."
  type        = bool
  default     = false
}

variable "stream_mode" {
  description = "ON_DEMAND or PROVISIONED."
  type        = string
  default     = "ON_DEMAND"
}

variable "alarm_topic_arn" {
  description = "SNS topic that hears of events that did not reach the stream, and of imitated ones."
  type        = string
  default     = ""
}

variable "forwarder_alarm_topic_name" {
  description = "Name of an SNS topic that every account and region has, for events that did not reach the bus; empty for no alarm."
  type        = string
  default     = ""
}

variable "image" {
  description = "The worker's image with a digest or a tag."
  type        = string
}

variable "image_repository_arn" {
  description = "The ECR repository that the image is in; empty for an image that anybody may pull."
  type        = string
  default     = ""
}

variable "vpc_id" {
  description = "The VPC of the tasks."
  type        = string
}

variable "subnet_ids" {
  description = "The subnets of the tasks, in two zones or more."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "true in public subnets without a NAT gateway."
  type        = bool
  default     = false
}

variable "scrape_security_group_id" {
  description = "Prometheus' security group."
  type        = string
}
