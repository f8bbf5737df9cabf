console.error('Error: this build has no commands yet.');
