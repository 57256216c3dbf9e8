"""What deploys: packaged for real, never sent anywhere."""
