"""What runs behind the gateway: functions, schedules, logs."""
