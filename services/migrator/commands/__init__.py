"""What people type: `medley migrate …`."""
