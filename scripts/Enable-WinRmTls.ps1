<#
.SYNOPSIS
Opens WinRM over TLS and shows the certificate's fingerprint on the EC2 console.
.DESCRIPTION
The user data of a node: makes a self-signed certificate for this host's address and name, replaces all WinRM
listeners by one over HTTPS, allows Negotiate only, opens TCP 5986, and writes the SHA-256 of the certificate to the
serial port, where EC2's console output shows it. Holds no secret.
.EXAMPLE
powershell.exe -File Enable-WinRmTls.ps1
#>
[CmdletBinding()]
param()
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Get-MetadataText {
    param([string]$Path)
    $token = Invoke-RestMethod -Method Put -Uri 'http://169.254.169.254/latest/api/token' -Headers @{
        'X-aws-ec2-metadata-token-ttl-seconds' = '300'
    }
    $headers = @{ 'X-aws-ec2-metadata-token' = $token }
    return Invoke-RestMethod -Uri "http://169.254.169.254/latest/meta-data/$Path" -Headers $headers
}

function Write-Console {
    param([string]$Text)
    $port = New-Object -TypeName System.IO.Ports.SerialPort -ArgumentList 'COM1'
    $port.Open()
    try { $port.WriteLine($Text) } finally { $port.Close() }
}

$address = Get-MetadataText -Path 'local-ipv4'
$name = Get-MetadataText -Path 'local-hostname'
# -DnsName would put the address into a DNS name, which clients do not accept for an address.
$names = "2.5.29.17={text}IPAddress=$address&DNS=$name"
$request = @{
    Subject = "CN=$name"
    TextExtension = @($names)
    CertStoreLocation = 'Cert:\LocalMachine\My'
    KeyAlgorithm = 'RSA'
    KeyLength = 2048
    HashAlgorithm = 'SHA256'
    NotAfter = (Get-Date).AddYears(5)
}
$certificate = New-SelfSignedCertificate @request

Get-ChildItem -Path 'WSMan:\localhost\Listener' | Remove-Item -Recurse
$listener = @{
    ResourceURI = 'winrm/config/Listener'
    SelectorSet = @{ Address = '*'; Transport = 'HTTPS' }
    ValueSet = @{ CertificateThumbprint = $certificate.Thumbprint }
}
New-WSManInstance @listener | Out-Null
Set-Item -Path 'WSMan:\localhost\Service\Auth\Basic' -Value $false
Set-Item -Path 'WSMan:\localhost\Service\AllowUnencrypted' -Value $false
Set-Item -Path 'WSMan:\localhost\Shell\MaxMemoryPerShellMB' -Value 2048
# Making a vSwitch disturbs the network at boot; WinRM should not give up over it.
Set-Service -Name 'WinRM' -StartupType Automatic

$rule = @{
    DisplayName = 'WinRM over TLS (bootstrap)'
    Direction = 'Inbound'
    Protocol = 'TCP'
    LocalPort = 5986
    Action = 'Allow'
}
New-NetFirewallRule @rule | Out-Null

$sha256 = [System.Security.Cryptography.SHA256]::Create()
$digest = $sha256.ComputeHash($certificate.RawData)
$fingerprint = ([System.BitConverter]::ToString($digest)).Replace('-', '').ToLowerInvariant()
Write-Console -Text "BOOTSTRAP-WINRM-CERT-SHA256 $fingerprint"
